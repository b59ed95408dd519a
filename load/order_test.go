package load

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/load/sidecar"
)

func TestItemsAreSorted(t *testing.T) {
	var o itemOrder // used again, as by the loader
	rapid.Check(t, func(t *rapid.T) {
		// Some ids share their first bits, some routes come back.
		hi := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 3), rapid.Just(^uint64(0)))
		items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) item {
			return item{
				key: sidecar.Key{
					Route:   rapid.SampledFrom([]uint64{1 << 33, 5, 7, 6}).Draw(t, "route"),
					ID:      sidecar.ID{Hi: hi.Draw(t, "hi"), Lo: rapid.Uint64Range(0, 1).Draw(t, "lo")},
					Payload: rapid.Uint64Range(0, 1).Draw(t, "payload"),
				},
				at: rapid.Int32Range(0, 50).Draw(t, "at"),
			}
		}), 0, 200).Draw(t, "items")
		want := slices.Clone(items)
		slices.SortFunc(want, compareItems)
		o.sort(items)
		if diff := cmp.Diff(want, items, cmp.AllowUnexported(item{})); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}
