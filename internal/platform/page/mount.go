package page

import (
	"net/http"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// Mount registers a page whose handler takes its request as net/http gives it.
// It is for features that do not use a [Set] yet.
func (k *Kit) Mount(pattern, permission string, stream bool, h func(http.ResponseWriter, *http.Request) error) {
	k.mount(access{pattern, permission, stream}, func(w http.ResponseWriter, r *http.Request, _ *web.Principal, _ string) error {
		return h(w, r)
	})
}
