/** Queues the agent's replies for the loudspeaker and counts how much of each was played. */

interface Playout {
  readonly id: string;
  readonly blocks: Int16Array[];
  /** Samples of the first block that were played. */
  offset: number;
  waiting: number;
  played: number;
  isComplete: boolean;
  hasBegun: boolean;
}

export interface Played {
  id: string;
  samples: number;
  isDone: boolean;
}

/**
 * Replies in the order of their arrival. `played` counts from the beginning of each reply, without
 * samples that are still queued or were cleared.
 */
export class Playouts {
  readonly #queue: Playout[] = [];
  readonly #head: number;
  #open: Playout | null = null;

  /** @param head Samples to buffer before a reply starts, or resumes after a gap. */
  constructor(head: number) {
    this.#head = head;
  }

  begin(id: string): void {
    this.#complete(this.#open);
    this.#open = {
      id,
      blocks: [],
      offset: 0,
      waiting: 0,
      played: 0,
      isComplete: false,
      hasBegun: false,
    };
    this.#queue.push(this.#open);
  }

  /** Adds audio to the open reply; without one, the audio belongs to a cleared reply. */
  add(pcm: Int16Array): void {
    if (this.#open === null) return;
    this.#open.blocks.push(pcm);
    this.#open.waiting += pcm.length;
  }

  end(id: string): void {
    if (this.#open?.id !== id) return;
    this.#complete(this.#open);
    this.#open = null;
  }

  /** Drops the queued audio of a reply; returns how much of it was played. */
  clear(id: string): Played | null {
    const index = this.#queue.findIndex((playout) => playout.id === id);
    const [gone] = index < 0 ? [] : this.#queue.splice(index, 1);
    if (this.#open?.id === id) this.#open = null;
    return gone ? { id, samples: gone.played, isDone: true } : null;
  }

  /** The line is lost: plays what has arrived and expects no more of it. */
  abandon(): void {
    this.#complete(this.#open);
    this.#open = null;
  }

  reset(): void {
    this.#queue.length = 0;
    this.#open = null;
  }

  /** Fills a block for the loudspeaker, with silence if there is nothing to play. */
  fill(out: Float32Array): Played[] {
    const reports: Played[] = [];
    let at = 0;
    while (at < out.length) {
      const playout = this.#queue[0];
      if (!playout || !this.#mayPlay(playout)) break;
      const taken = take(playout, out, at);
      at += taken;
      if (playout.waiting > 0) continue;
      if (!playout.isComplete) {
        playout.hasBegun = false;
        break;
      }
      this.#queue.shift();
      reports.push({ id: playout.id, samples: playout.played, isDone: true });
    }
    out.fill(0, at);
    return reports;
  }

  /** The reply that is playing. */
  get current(): Played | null {
    const playout = this.#queue[0];
    return playout && playout.played > 0
      ? { id: playout.id, samples: playout.played, isDone: false }
      : null;
  }

  #mayPlay(playout: Playout): boolean {
    playout.hasBegun ||= playout.isComplete || playout.waiting >= this.#head;
    return playout.hasBegun;
  }

  #complete(playout: Playout | null): void {
    if (playout) playout.isComplete = true;
  }
}

function take(playout: Playout, out: Float32Array, at: number): number {
  const block = playout.blocks[0];
  if (!block) return 0;
  const count = Math.min(out.length - at, block.length - playout.offset);
  for (let i = 0; i < count; i++) out[at + i] = (block[playout.offset + i] ?? 0) / 32_768;
  playout.offset += count;
  playout.played += count;
  playout.waiting -= count;
  if (playout.offset === block.length) {
    playout.blocks.shift();
    playout.offset = 0;
  }
  return count;
}
