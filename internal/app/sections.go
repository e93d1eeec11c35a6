package app

import (
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/producer"
)

// CatalogueSections are the sections of a product in catalogue files, in the
// order of the manual.
func CatalogueSections() catalogue.Sections {
	return catalogue.Sections{
		audit.CatalogueSection(),
		notify.CatalogueSection(),
		producer.TopicsSection(),
	}
}
