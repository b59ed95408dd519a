interface Window {
  collector: string // where the collector is
  tell: (name: string) => void // tells of one event
}
