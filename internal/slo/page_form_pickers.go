package slo

import (
	"cmp"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// zonePicker is the field for the property. With one property in the account it is chosen.
func (p *pages) zonePicker(v *page.Visit, f *objectiveForm, faults ui.Faults) (ui.Picker, error) {
	picker := ui.Picker{
		Name:        "match/zone",
		Label:       "Property",
		Hint:        "A property appears with its first requests.",
		Error:       faults.Of("match/zone"),
		Placeholder: "Choose a property, or write its name",
		Kind:        "zone",
		Source:      account.AccountPath(v.Account) + "/find",
		AllowOther:  true,
		Required:    true,
	}
	chosen := f.Zone
	if chosen.Value == "" && f.act == "" && faults.Status == 0 && p.cfg.Zones != nil {
		zones, err := p.cfg.Zones(v.Context(), v.Account)
		if err != nil {
			return picker, err
		}
		if len(zones) == 1 {
			chosen = ui.Choice{Value: zones[0].ID, Label: zones[0].Name}
			f.Zone = chosen
		}
	}
	if chosen.Value == "" {
		return picker, nil
	}
	if zoneID, name, err := p.cfg.Zone(v.Context(), v.Account, chosen.Value); err == nil && zoneID != "" {
		chosen.Value = zoneID
		chosen.Label = name
	}
	chosen.Icon = "globe"
	picker.Selected = []ui.Choice{chosen}
	return picker, nil
}

// partPicker is the field for the hostname, origin or path class. It suggests those that were seen.
func (p *pages) partPicker(v *page.Visit, f *objectiveForm, faults ui.Faults) ui.Picker {
	labels := map[string][2]string{
		kindHostname:  {"Hostname", "www.shop.example"},
		kindOrigin:    {"Origin", "192.0.2.7:8443"},
		kindPathClass: {"Class of paths", "/checkout/*"},
	}
	picker := ui.Picker{
		Name:        "value",
		Label:       labels[f.Kind][0],
		Placeholder: labels[f.Kind][1],
		Hint:        "It is counted on its own from the creation of the objective on.",
		AllowOther:  true,
		Required:    true,
	}
	for _, name := range []string{"value", "match", "match/hostname", "match/origin", "match/path_class"} {
		picker.Error = cmp.Or(picker.Error, faults.Of(name))
	}
	if f.Zone.Value != "" {
		picker.Source = objectivesPath(v.Account) + "/new/parts/" + f.Zone.Value
		picker.Kind = f.Kind
	}
	if f.Value != "" {
		picker.Selected = []ui.Choice{{Value: f.Value}}
	}
	return picker
}
