import posthog from "posthog-js"

posthog.init("demo", {
  api_host: window.collector,
  advanced_disable_flags: true,
  autocapture: false,
  capture_pageview: false,
  capture_pageleave: false,
  disable_session_recording: true,
  disable_surveys: true,
  opt_out_useragent_filter: true, // or it tells nothing in a browser that is driven
})
window.tell = name => void posthog.capture(name)
