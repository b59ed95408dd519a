// Numbers that show what is missing, as docs/event.md of Reedbed has them.

import type { Store } from "./store"
import { uuid } from "./uuid"

// Stream is what is kept of a stream while it may go on: under the key "s" and its id.
interface Stream {
  next: number
  dropped: number
  time: number
  owner: number // the page that numbers now; 0 when it left
  previous?: Previous
}

interface Previous {
  stream_id: string
  seq: number
  dropped: number
  time: string
}

const enum Limit {
  Silence = 18e5, // milliseconds after which a page that never left is taken to be gone
}

export const numbers = ([, , remove, load, save, keys]: Store) => {
  const page = Math.random()
  let mine = ""
  const read = (id: string): Stream | null => load("s" + id)
  const write = (id: string, s: Stream) => save("s" + id, s)

  // claim goes on with a stream that nobody numbers, or begins one. While something is
  // queued a stream is gone on with however old it is, so that drops of all its pages
  // can be told; of one that is over only its end is told.
  const claim = (now: number): Stream => {
    let previous: Previous | undefined
    for (const key of keys("s")) {
      const id = key.slice(1)
      const s = read(id)!
      const recent = Math.abs(now - s.time) < Limit.Silence
      if (s.owner && s.owner != page && recent) continue
      if (now >= s.time && (recent || keys("q")[0])) {
        mine = id
        return s
      }
      previous = { stream_id: id, seq: s.next - 1, dropped: s.dropped, time: new Date(s.time).toISOString() }
      remove(key)
      break
    }
    mine = uuid(now)
    return { next: 0, dropped: 0, time: now, owner: page, previous }
  }

  // next numbers an event that happens now.
  const next = (now: number) => {
    let s = read(mine)
    if (s?.owner != page || now < s.time) s = claim(now)
    const number = { stream_id: mine, seq: s!.next++, dropped: s!.dropped || undefined, previous: s!.previous }
    s!.time = now
    s!.owner = page
    write(mine, s!)
    return number
  }

  // drop forgets an event of the queue and counts that it did.
  const drop = (key: string) => {
    const id = load(key)?.stream_id
    const s = read(id)
    remove(key)
    if (s) {
      s.dropped++
      write(id, s)
    }
  }

  // answered says that a request with this body was; its stream need tell no more of the one before it.
  const answered = (body: string) => {
    const s = read(mine)
    if (s?.previous && body.includes(mine)) {
      s.previous = undefined
      write(mine, s)
    }
  }

  // leave lets the device's next page go on with the stream.
  const leave = () => {
    const s = read(mine)
    if (s?.owner == page) {
      s.owner = 0
      write(mine, s)
    }
  }

  return [next, drop, answered, leave] as const
}
