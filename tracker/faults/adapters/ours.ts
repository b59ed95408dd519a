// The page loads the tracker as a site does, with its script.
window.tell = name => (window as any).reedbed.track(name)
