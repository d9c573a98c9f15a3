/** Each person's volume for the agent's voice on this device. */
import { recall, remember } from "../../shared/store/storage.ts";
import { Store } from "../../shared/store/store.ts";

export interface Loudness {
  /** In percent; unchanged while the voice is off. */
  readonly volume: number;
  readonly isOff: boolean;
}

const FULL: Loudness = { volume: 100, isOff: false };
/** Keep the volumes of this many people, those who set one last. */
const MOST_KEPT = 20;

/** The gain, from 0 to 1. Hearing is not linear: 50 % should sound half as loud. */
export const gainOf = ({ volume, isOff }: Loudness): number => (isOff ? 0 : (volume / 100) ** 2);

export class Voice extends Store<Loudness> {
  readonly #apply: (gain: number) => void;
  #owner: string | null = null;

  constructor(apply: (gain: number) => void) {
    super(FULL);
    this.#apply = apply;
  }

  /** Restores this person's last choice. */
  belongTo(userId: string): void {
    this.#owner = userId;
    const { [userId]: chosen } = kept();
    super.set(chosen ? { volume: chosen[0], isOff: chosen[1] } : FULL);
    this.#apply(gainOf(this.value));
  }

  override set(wanted: Loudness): void {
    super.set(wanted);
    this.#apply(gainOf(wanted));
    if (this.#owner === null) return;
    const { [this.#owner]: _, ...others } = kept();
    const all = [...Object.entries(others), [this.#owner, [wanted.volume, wanted.isOff]]];
    remember("voice", JSON.stringify(Object.fromEntries(all.slice(-MOST_KEPT))));
  }
}

type Kept = Record<string, readonly [volume: number, isOff: boolean]>;

/** The stored choices that this version of the page can read. */
function kept(): Kept {
  try {
    const all = Object.entries<unknown>(JSON.parse(recall("voice") ?? "{}"));
    return Object.fromEntries(all.filter(isReadable));
  } catch {
    return {};
  }
}

function isReadable(entry: [string, unknown]): entry is [string, readonly [number, boolean]] {
  if (!Array.isArray(entry[1])) return false;
  const [volume, isOff] = entry[1];
  return volume >= 0 && volume <= 100 && typeof volume === "number" && typeof isOff === "boolean";
}
