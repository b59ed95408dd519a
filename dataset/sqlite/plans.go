package sqlite

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup

// Of the SQLite that the driver brings along, which is linked in later: hence weak.
typedef struct sqlite3 sqlite3;
extern int sqlite3_auto_extension(void (*)(void)) __attribute__((weak));
extern int sqlite3_db_config(sqlite3 *, int, ...) __attribute__((weak));

enum { ENABLE_QPSG = 1007 }; // SQLITE_DBCONFIG_ENABLE_QPSG

static int keep_plan(sqlite3 *db, char **problem, const void *api) {
	return sqlite3_db_config(db, ENABLE_QPSG, 1, (int *)0);
}

static int keep_plans(void) { return sqlite3_auto_extension((void (*)(void))keep_plan); }
*/
import "C"

import "fmt"

// keepPlans lets connections opened from now on plan each statement once, whatever
// is bound to it (SQLite's query planner stability guarantee). Otherwise SQLite
// compiles most statements of this package anew each time they are used: it takes
// the values bound last into account, and the driver clears those after each use.
// The driver has no option for this. To ask for it again changes nothing.
func keepPlans() error {
	if code := C.keep_plans(); code != 0 {
		return fmt.Errorf("SQLite refuses an extension: code %d", int(code))
	}
	return nil
}
