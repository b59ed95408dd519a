/** What an event carries beside its name: anything that JSON can hold. */
export type Properties = Record<string, unknown>

export interface Options {
  /** The write key of a source. It is no secret. */
  key: string
  /** Where events are posted to. In scripts: `e` beside the script. Default: "/t/e". */
  url?: string
  /** The application and its release; loss is measured for each release. */
  app?: { name?: string; version?: string }
  /** "wait": nothing is stored or sent before consent(true). */
  consent?: "wait"
  /** Global Privacy Control is respected (nothing is stored or sent) unless this says "ignore". */
  gpc?: "ignore"
  /** "respect": the older Do Not Track is respected as well. */
  dnt?: "respect"
}

/** What the tracker notices by itself. */
export type Automatic = "pages" | "clicks" | "vitals"

export interface Tracker {
  /** Something happened. */
  track(name: string, properties?: Properties): void
  /** A page is seen. The full script does this by itself. */
  page(properties?: Properties): void
  /** Who it is, from now on, by your own id. */
  identify(user: string, traits?: Properties): void
  /** Forget who it is, such as when they log out: the next event has a new anonymous id. */
  reset(): void
  /** true: consent is given; what happened on this page is told. false: it is taken back; all that was stored is erased. It is remembered. */
  consent(given: boolean): void
  /** Send what is queued now, instead of in a second. */
  flush(): Promise<void>
  /** A call as a list: push(["track", "Signed Up"]). Before the script is there, window.reedbed is an array with this method. */
  push(call: Call): void
}

export type Call =
  | ["track", string, Properties?]
  | ["page", Properties?]
  | ["identify", string, Properties?]
  | ["reset"]
  | ["consent", boolean]
  | ["flush"]

/** Make a tracker. One for each write key is enough. */
export function load(options: Options): Tracker

/** Tell page views, clicks and vitals by themselves, but for what is named. */
export function automatic(tracker: Tracker, off?: Automatic[] | string): void

declare global {
  interface Window {
    reedbed?: Tracker | Call[]
  }
}
