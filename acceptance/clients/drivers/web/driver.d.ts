interface Window {
  collector: string // where the way to the server begins
  key: string
  tell: (mark: string) => void // has the client send one event
  flush?: () => void // has it send again what it keeps, if it waits to be told
}
