"""Scripts that tests run in a page before the page's own code."""

from typing import Final

# A microphone that plays sound when a test asks for it, however slow the machine is. Chromium's
# fake microphone plays its file as soon as the page opens it.
# Between sentences it sends silence, as real microphones do. WebRTC takes a pause in the stream for
# a slow network: it delays what comes next by up to 0.8 s, and replaces parts of it.
MOUTH: Final = """
if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({sampleRate: 16000})
  const mouth = context.createMediaStreamDestination()
  const silence = new ConstantSourceNode(context, {offset: 0})
  silence.connect(mouth)
  silence.start()
  window.say = encoded => {
    interims.length = 0
    const bytes = Uint8Array.from(atob(encoded), char => char.charCodeAt(0))
    const pcm = new Int16Array(bytes.buffer)
    const buffer = context.createBuffer(1, pcm.length, 16000)
    buffer.getChannelData(0).set(Float32Array.from(pcm, sample => sample / 32768))
    const source = context.createBufferSource()
    source.buffer = buffer
    source.connect(mouth)
    source.start()
    return new Promise(resolve => { source.onended = resolve })
  }
  window.unplug = () => {
    const [track] = mouth.stream.getTracks()
    track.stop()
    track.dispatchEvent(new Event('ended'))
  }
  return mouth.stream
}
"""

# Every text that the dock has shown since the page was loaded: a state may be too short for
# polling.
STATES: Final = """
window.states = []
new MutationObserver(() => {
  const state = document.querySelector('.status-text')?.textContent
  if (state && state !== states.at(-1)) states.push(state)
}).observe(document, {subtree: true, childList: true, characterData: true})
"""

# `said()` returns the person's final lines, and every text that an unfinished line has had since
# the person began to speak: it may become final before a test reads it.
LINES: Final = """{
  const lines = isFinal => [...document.querySelectorAll(
    `.line[data-role="USER"][data-final="${isFinal}"]`
  )].map(line => ({
    isFinal, key: line.dataset.key, text: line.querySelector('.line-text').textContent
  }))
  window.interims = []
  window.said = () => [...interims, ...lines(true)]
  new MutationObserver(() => {
    for (const line of lines(false))
      if (!interims.some(({key, text}) => key === line.key && text === line.text))
        interims.push(line)
  }).observe(document, {subtree: true, childList: true, characterData: true})
}"""

# A browser whose microphone prompt is still open.
NO_ANSWER: Final = """
navigator.permissions.query = async () => ({state: 'prompt'})
navigator.mediaDevices.getUserMedia = () => new Promise(() => {})
"""
