package broker

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// permit gives the configured users their rights. kfake takes ACLs as options
// only for an empty directory, so they are made by the protocol at every start.
func (b *Broker) permit(ctx context.Context) error {
	if len(b.cfg.Users) == 0 {
		return nil
	}
	req := kmsg.NewPtrCreateACLsRequest()
	for _, u := range b.cfg.Users {
		for _, topic := range u.Write {
			req.Creations = append(req.Creations, right(u, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationWrite))
		}
		for _, topic := range u.Read {
			req.Creations = append(req.Creations, right(u, kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationRead))
		}
		if len(u.Read) > 0 {
			req.Creations = append(req.Creations, right(u, kmsg.ACLResourceTypeGroup, u.Name+"*", kmsg.ACLOperationRead))
		}
	}
	cl, err := b.Cluster().Client("belfry-broker")
	if err != nil {
		return err
	}
	defer cl.Close()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, r := range resp.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

func right(u User, kind kmsg.ACLResourceType, name string, op kmsg.ACLOperation) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = kind, name, kmsg.ACLResourcePatternTypeLiteral
	if prefix, ok := strings.CutSuffix(name, "*"); ok && prefix != "" {
		c.ResourceName, c.ResourcePatternType = prefix, kmsg.ACLResourcePatternTypePrefixed
	}
	c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+u.Name, "*", op, kmsg.ACLPermissionTypeAllow
	return c
}
