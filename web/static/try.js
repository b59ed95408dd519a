// What the buttons of /try do. The tracker itself needs none of this.

// The tracker, which runs after this, tells where a page is: not with the token that reads all.
history.replaceState(null, "", location.pathname)

const push = (...call) => (window.reedbed ||= []).push(call)
const clicked = (id, act) => document.getElementById(id).addEventListener("click", act)

let pages = 0
clicked("agree", () => push("consent", true))
clicked("withdraw", () => push("consent", false))
clicked("turn", () => history.pushState(null, "", `?page=${++pages}`))

const state = document.getElementById("state")
setInterval(() => {
  const keys = Object.keys(localStorage).filter(key => key.startsWith("rb."))
  const queued = keys.filter(key => key.includes(".q")).length
  const words = `${queued} events are queued; ${keys.length} keys are stored in all.`
  if (state.textContent !== words) state.textContent = words
}, 250)
