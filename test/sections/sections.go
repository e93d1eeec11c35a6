// Package sections gives tests of the catalogue and of features the sections of
// all features, which these packages may not import.
package sections

import (
	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/notify"
)

// All is the table of the app.
func All() catalogue.Sections { return app.CatalogueSections() }

// Resources are the resource types of a product.
func Resources(p catalogue.Declaration) []audit.ResourceType {
	return catalogue.Entries[audit.ResourceType](p)
}

// AlertTypes are the alert types of a product.
func AlertTypes(p catalogue.Declaration) []notify.DeclaredAlertType {
	return catalogue.Entries[notify.DeclaredAlertType](p)
}

// Declared returns the declaration of a product that the audit log uses.
func Declared(p *catalogue.Product) *audit.Declared { return catalogue.Compiled[*audit.Declared](p) }
