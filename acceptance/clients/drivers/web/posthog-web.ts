import posthog from "posthog-js"

posthog.init(window.key, {
  api_host: window.collector,
  autocapture: false,
  capture_pageview: false,
  capture_pageleave: false,
  opt_out_useragent_filter: true, // or it tells nothing in a browser that is driven
})
window.tell = mark => void posthog.capture("Acceptance", { mark })
