package app

import (
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// systemPage is the state of this process, and the data of the template "system".
type systemPage struct {
	Version   string
	Ready     telemetry.Readiness
	Failing   int // checks
	Databases []databaseView
}

// databaseView is a feature's database with its migrations.
type databaseView struct {
	Feature    string
	Engine     db.Engine
	Migrations []db.Applied
}

func (p *pages) showSystem(v *page.Visit) error {
	data := systemPage{Version: p.version, Ready: p.app.Health.Ready(v.Context())}
	for _, check := range data.Ready.Checks {
		if !check.OK {
			data.Failing++
		}
	}
	for _, d := range p.app.databases {
		list, err := d.Migrations(v.Context())
		if err != nil {
			return err
		}
		data.Databases = append(data.Databases, databaseView{d.Name, d.Engine, list})
	}
	return v.Show(page.View{Section: "system", Title: "System", Template: "system", Data: data})
}
