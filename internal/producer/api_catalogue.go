package producer

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// catalogueAPI: a team applies and reads its own catalogue; every credential may
// read the declared products and their sentences.
func (f *Feature) catalogueAPI(a *web.API) {
	f.documentSections(a)

	op := func(id, path, summary string) web.Op {
		return web.Op{
			ID:         id,
			Path:       "/producers/{producer_id}/catalog" + path,
			Tag:        tag,
			Scope:      web.ScopeProducer,
			Permission: account.CatalogWrite,
			Summary:    summary,
		}
	}
	apply := op("apply-catalog", "", "Apply a catalogue")
	apply.Description = "The body is the whole file, YAML or JSON. With dry_run=true the answer is the difference, " +
		"and nothing changes. Other processes of the server follow within two seconds."
	apply.MaxBody = catalogue.MaxFile
	apply.Accepts = []string{
		"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/json",
	}
	apply.Result = Applied{}
	apply.Errors = []errs.Code{errs.CodeCatalogueInvalid, errs.CodeStale}
	web.Raw(a, http.MethodPut, apply, f.putCatalogue)

	get := op("get-catalog", "", "Get the catalogue")
	get.Description = "With Accept: application/yaml the answer is the file as it was applied."
	get.Result = StoredCatalogue{}
	web.Get(a, get, f.getCatalogue)

	versions := op("list-catalog-versions", "/versions", "List the catalogue's versions")
	web.Get(a, versions, f.listVersions(a.Cursors()))

	web.Get(a, web.Op{
		ID:          "list-products",
		Path:        "/catalog/products",
		Tag:         tag,
		Scope:       web.ScopeSelf,
		Summary:     "List declared products",
		Description: "All products with their resources, actions and sentences, Belfry's own included, sorted by name.",
	}, f.listProducts)
}

// documentSections adds to the API's document what the sections bring.
func (f *Feature) documentSections(a *web.API) {
	declared, public := f.sections.Documented()
	for _, m := range declared {
		a.DocumentMember(catalogue.Declaration{}, web.Member{Name: m.Name, Type: m.Type})
	}
	for _, m := range public {
		a.DocumentMember(ShownProduct{}, web.Member{Name: m.Name, Type: m.Type, Required: true})
	}
	a.DocumentValues(catalogue.Change{}, "kind", f.sections.Kinds())
}

type applyInput struct {
	TeamInput
	DryRun bool `query:"dry_run" doc:"Only answer what would change."`
}

// mayReach admits the team itself and operators. The answer to another team is the
// same whether the id exists or not.
func mayReach(ctx context.Context, teamID string) error {
	p := web.CurrentPrincipal(ctx)
	if p != nil && (p.Can("", account.CatalogWrite) || p.Kind == web.KindProducer && p.ID == teamID) {
		return nil
	}
	return errs.New(errs.CodeForbidden, "the token belongs to another product team")
}

func (f *Feature) putCatalogue(ctx context.Context, in *applyInput, x *web.Exchange) error {
	if err := mayReach(ctx, in.ProducerID); err != nil {
		return err
	}
	body, err := x.Bytes()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errs.New(errs.CodeMissingField, "the body is the catalogue file, and there is none")
	}
	format := catalogue.YAML
	if media := x.MediaType(); media == "application/json" || bytes.HasSuffix([]byte(media), []byte("+json")) {
		format = catalogue.JSON
	}
	file, err := f.sections.Parse(bytes.Clone(body), format) // the body's memory is used again
	if err != nil {
		return err
	}
	out, err := f.Apply(ctx, in.ProducerID, file, in.DryRun, func(present StoredCatalogue) error {
		return web.IfMatch(ctx, present)
	})
	if err != nil {
		return err
	}
	result, err := json.Marshal(out)
	if err != nil {
		return err
	}
	x.Send(web.Envelope{Result: result})
	return nil
}

type getCatalogueInput struct {
	TeamInput
	Version int64 `query:"version" minimum:"1" doc:"Left out: the one in force."`
}

func (f *Feature) getCatalogue(ctx context.Context, in *getCatalogueInput) (web.Answer, error) {
	if err := mayReach(ctx, in.ProducerID); err != nil {
		return nil, err
	}
	c, err := f.Catalogue(ctx, in.ProducerID, in.Version)
	if err != nil {
		return nil, err
	}
	if c.Format == catalogue.YAML && web.Accepts(ctx, "application/yaml") {
		return web.Bytes{ContentType: "application/yaml", Data: []byte(c.Text)}, nil
	}
	return web.Reply[StoredCatalogue]{Result: c}, nil
}

type versionsInput struct {
	TeamInput
	web.Paging
}

type versionPlace struct {
	Version int64 `json:"v"`
}

func (f *Feature) listVersions(c *web.Cursors) web.Handler[versionsInput, web.Page[Revision]] {
	return func(ctx context.Context, in *versionsInput) (web.Page[Revision], error) {
		if err := mayReach(ctx, in.ProducerID); err != nil {
			return web.Page[Revision]{}, err
		}
		list := "catalog versions " + in.ProducerID
		var from versionPlace
		if in.Cursor != "" {
			if err := c.Decode(list, in.Cursor, &from); err != nil {
				return web.Page[Revision]{}, err
			}
		}
		items, err := f.Versions(ctx, in.ProducerID, from.Version, in.Limit+1)
		if err != nil {
			return web.Page[Revision]{}, err
		}
		p := web.Page[Revision]{Items: items}
		if len(items) > in.Limit {
			p.Items = items[:in.Limit]
			p.Cursor = c.Encode(list, versionPlace{p.Items[in.Limit-1].Version})
		}
		return p, nil
	}
}

// ShownProduct is a declared product as pages and clients need it. Its JSON has a
// member for each section that is public.
type ShownProduct struct {
	Product     string      `json:"product"`
	Title       string      `json:"title"`
	Description string      `json:"description,omitempty"`
	Category    string      `json:"category"`
	Owner       *ShownOwner `json:"owner,omitempty" doc:"The product team; only operators and product teams see it"`

	sections []catalogue.Member
}

// MarshalJSON writes the product and its public sections.
func (p ShownProduct) MarshalJSON() ([]byte, error) {
	type head ShownProduct
	return catalogue.AppendMembers(head(p), p.sections)
}

// ShownOwner is the team of a product.
type ShownOwner struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (f *Feature) listProducts(ctx context.Context, _ *struct{}) ([]ShownProduct, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	p := web.CurrentPrincipal(ctx)
	inside := p != nil && (p.Superoperator || p.Installation || p.Kind == web.KindProducer)

	list := []ShownProduct{}
	for _, one := range s.sorted() {
		shown := ShownProduct{
			Product:     one.Name,
			Title:       one.Title,
			Description: one.Description,
			Category:    one.Category,
			sections:    f.sections.Public(one.Declaration),
		}
		if inside && one.Team != "" {
			shown.Owner = &ShownOwner{ID: one.Team, Name: s.teams[one.Team].name}
		}
		list = append(list, shown)
	}
	return list, nil
}
