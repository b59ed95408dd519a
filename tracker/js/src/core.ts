// The script without anything automatic.
import { boot } from "./boot"
boot()
