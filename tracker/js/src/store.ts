// Storage that survives the page, or the page's memory where there is none or it is full.

export type Store = ReturnType<typeof open>

// open returns functions instead of an object of them: their names cost nothing in the built script.
export const open = (prefix: string) => {
  const memory: Record<string, string> = {}
  let disk: Record<string, string> = {}
  try {
    disk = localStorage // refused in some frames
  } catch {}

  const get = (key: string): string | undefined => memory[prefix + key] ?? disk[prefix + key]

  // put says whether there was room on disk.
  const put = (key: string, value: string): boolean => {
    try {
      disk[prefix + key] = value
      delete memory[prefix + key]
      return true
    } catch {
      memory[prefix + key] = value
      return false
    }
  }

  const remove = (key: string) => {
    delete memory[prefix + key]
    delete disk[prefix + key]
  }

  // read and write keep a value as JSON, padded so that it can change in place when the disk is full.
  const read = (key: string) => JSON.parse(get(key) || "null")
  const write = (key: string, value: object) => put(key, JSON.stringify(value).padEnd(400))

  // keys that begin so, in order, of disk and memory or of one of them.
  const keys = (start: string, from = [disk, memory]): string[] =>
    from
      .flatMap(kept => Object.keys(kept))
      .filter(key => key.startsWith(prefix + start))
      .map(key => key.slice(prefix.length))
      .sort()

  return [get, put, remove, read, write, keys, disk, memory] as const
}
