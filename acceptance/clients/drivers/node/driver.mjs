// What every driver is given, and the one line it answers with.
const [, , url, key, events] = process.argv
export { url, key }

/** The marks of all events: a row's name and a number. */
export const marks = Array.from({ length: +events }, (_, i) => `${key}#${i};`)

/** Says how many events the client was given and how many it reported as failed. */
export function done(failed = 0) {
  process.stdout.write("\n" + JSON.stringify({ sent: marks.length, failed }) + "\n", () => process.exit(0))
}
