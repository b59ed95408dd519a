// uuid is a UUIDv7 of a time in milliseconds. (crypto.randomUUID makes another kind, and not on plain http.)
export const uuid = (time: number): string => {
  const t = time.toString(16).padStart(12, "0")
  let r = ""
  crypto.getRandomValues(new Uint8Array(9)).forEach(b => (r += (b + 256).toString(16).slice(1)))
  return `${t.slice(0, 8)}-${t.slice(8)}-7${r.slice(0, 3)}-8${r.slice(3, 6)}-${r.slice(6)}`
}
