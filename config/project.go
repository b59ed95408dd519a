package config

import (
	"os"
	"path/filepath"
)

// Project is a project folder and its configuration.
//
// The paths it gives are made of fixed words only. A name that came from a
// person reaches a file through Root or another os.Root, never by joining.
type Project struct {
	Dir    string // absolute
	Config Config
}

// Root opens the project folder. The caller closes it.
func (p Project) Root() (*os.Root, error) { return os.OpenRoot(p.Dir) }

// InputsDir holds small versioned side inputs.
func (p Project) InputsDir() string { return filepath.Join(p.Dir, "data") }

// DashboardsDir holds the cards of the reader's page.
func (p Project) DashboardsDir() string { return filepath.Join(p.Dir, "dashboards") }

// DataDir holds all that Reedbed writes.
func (p Project) DataDir() string {
	if filepath.IsAbs(p.Config.Data) {
		return p.Config.Data
	}
	return filepath.Join(p.Dir, p.Config.Data)
}

// JournalDir holds the durable log.
func (p Project) JournalDir() string { return filepath.Join(p.DataDir(), "journal") }

// StoreDir holds the objects.
func (p Project) StoreDir() string { return filepath.Join(p.DataDir(), "store") }

// CatalogFile is the catalog's database.
func (p Project) CatalogFile() string { return filepath.Join(p.DataDir(), "catalog.db") }

// WorkDir holds the private folders of running workers; it may be removed
// whenever nothing runs.
func (p Project) WorkDir() string { return filepath.Join(p.DataDir(), "work") }

// LockFile is locked by whichever process may change the project.
func (p Project) LockFile() string { return filepath.Join(p.DataDir(), "lock") }

// ControlSocket is where `reedbed up` takes the commands of other processes.
// The kernel limits such a path to about 100 bytes.
func (p Project) ControlSocket() string { return filepath.Join(p.DataDir(), "control.sock") }
