// The script for a page: <script async src="/t/t.js" data-key="KEY"></script>
import { automatic } from "./automatic"
import { boot } from "./boot"
boot(automatic)
