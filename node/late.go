package node

import (
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/converge"
)

func ofLate(l converge.Late) alert.Alert {
	return alert.Alert{
		Key: strings.Join([]string{"late", l.Dataset, l.Contract, l.Owner}, "/"), Severity: alert.Warning, Owner: l.Owner,
		Title: fmt.Sprintf("%s is late: fresh of contract %s", l.Dataset, l.Contract), Detail: l.Words(), Since: l.Since,
	}
}
