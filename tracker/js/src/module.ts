// The npm package.
export { automatic } from "./automatic"
export { load } from "./tracker"
