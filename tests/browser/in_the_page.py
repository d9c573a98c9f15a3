"""What runs in a page before anything of it does, for those who talk on it and look at it."""

from typing import Final

# A microphone that hears something when a test wants it to, on a machine of whatever speed; what
# Chromium plays from a file begins when the page opens the microphone, and waits for nobody.
MOUTH: Final = """
if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({sampleRate: 16000})
  const mouth = context.createMediaStreamDestination()
  window.say = encoded => {
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

# What the dock has said since the page was loaded: a state may last less than the time between two
# looks at it.
STATES: Final = """
window.states = []
new MutationObserver(() => {
  const state = document.querySelector('.status-text')?.textContent
  if (state && state !== states.at(-1)) states.push(state)
}).observe(document, {subtree: true, childList: true, characterData: true})
"""

# A browser whose question about the microphone nobody has answered yet.
NO_ANSWER: Final = """
navigator.permissions.query = async () => ({state: 'prompt'})
navigator.mediaDevices.getUserMedia = () => new Promise(() => {})
"""
