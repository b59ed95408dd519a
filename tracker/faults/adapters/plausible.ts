import Plausible from "plausible-tracker"

const { trackEvent } = Plausible({ domain: "demo", apiHost: window.collector, trackLocalhost: true })
window.tell = name => trackEvent(name)
