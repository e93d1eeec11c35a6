package notify

import "context"

// unconfirmed is a member's address that gets no mail, because the link of a
// confirmation mail to it was not opened yet.
type unconfirmed struct{ Address, Href string }

// unconfirmed lists the addresses that are not confirmed.
func (p *pages) unconfirmed(
	ctx context.Context, account string, addresses []string,
) (list []unconfirmed, err error) {
	if p.Unconfirmed == nil {
		return nil, nil
	}
	for _, address := range addresses {
		href, err := p.Unconfirmed(ctx, account, address)
		if err != nil {
			return nil, err
		}
		if href != "" {
			list = append(list, unconfirmed{address, href})
		}
	}
	return list, nil
}

// isUnconfirmed reports whether an address is that of a member who has not
// confirmed it. It only chooses between texts: after an error the general one is used.
func (n *Feature) isUnconfirmed(ctx context.Context, account, address string) bool {
	if n.Unconfirmed == nil {
		return false
	}
	href, err := n.Unconfirmed(ctx, account, address)
	return err == nil && href != ""
}

// whyNoMail explains a delivery that was not sent.
func (n *Feature) whyNoMail(ctx context.Context, account, address string) string {
	if n.isUnconfirmed(ctx, account, address) {
		return address + " is not confirmed yet: send the confirmation mail on the member's page"
	}
	return address + " is no longer a member of the account"
}

// refusedAddress explains why a policy cannot name an address.
func (n *Feature) refusedAddress(ctx context.Context, account, typed string) string {
	if n.isUnconfirmed(ctx, account, foldAddress(typed)) {
		return quoted(typed) + " is not confirmed yet; send the confirmation mail on the member's page"
	}
	return quoted(typed) + " is not the address of a member of this account; invite the person first"
}
