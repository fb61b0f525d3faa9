//! What will be said to a request, for people who ask what would become of it: as far as
//! that is known at once, and without counting it.

use super::{
    super::{addresses, cors::Cors, decoration::Decoration, identity::Identity, token},
    Arrival, Chain, Context, Unverified, Who,
};
use crate::base::denial::Denial;
use http::request::Parts;
use serde_json::Map;
use std::sync::Arc;

/// What will be said to a request that is not refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Foreseen {
    /// It ends here.
    Preflight,
    /// It goes on; unless what is named here says otherwise, which was not asked.
    LetIn(Vec<&'static str>),
}

impl Chain {
    /// What will be said to a request at this time.
    pub(crate) fn foresee(
        &self,
        context: &Context,
        parts: &Parts,
        arrival: Arrival,
        now: u64,
    ) -> Result<Foreseen, Denial> {
        let client = addresses::client(arrival.peer, &parts.headers, &context.trusted);
        if let Some(rule) = &self.addresses
            && !addresses::is_admitted(rule, client)
        {
            return Err(Denial::Address);
        }
        if let Some(cors) = self.cors.as_ref().filter(|_| Cors::is_preflight(parts)) {
            let is_admitted = cors.tell(&parts.headers, &mut Decoration::default());
            return is_admitted
                .then_some(Foreseen::Preflight)
                .ok_or(Denial::Origin);
        }
        let is_above = |limit| arrival.length.is_some_and(|length| length > limit);
        if self.body.is_some_and(is_above) {
            return Err(Denial::BodyTooLarge);
        }
        let (mut who, mut unasked) = (Who::default(), Vec::new());
        if let Some(places) = &self.jwt {
            let token = places.find(parts)?.ok_or(Denial::NoToken)?;
            let set = context.issuer.as_ref().filter(|_| places.rule.jwks);
            let set = set.and_then(|issuer| issuer.keys());
            let (rule, known) = (&places.rule, &context.credentials);
            match token::verify(&token.value, rule, known, set.as_deref()) {
                Ok(verified) => {
                    verified.timely(rule, now).map_err(Denial::BadToken)?;
                    who.token = Some(verified.who);
                }
                Err(Unverified::Bad(bad)) => return Err(Denial::BadToken(bad)),
                Err(Unverified::UnknownToIssuer) => unasked.push("its token's issuer"),
            }
        }
        if let Some(rule) = &self.keys {
            let key = rule.places.find(parts, |value| value)?;
            let key = key.ok_or(Denial::NoKey)?;
            let credential = context.ring.find(&key.value).ok_or(Denial::BadKey)?;
            who.key = Some(Identity::new(Some(Arc::clone(credential)), Map::new()));
        }
        if let Some(groups) = &self.groups
            && unasked.is_empty()
            && !who.is_in(groups)
        {
            return Err(Denial::Group);
        }
        if self.limits.is_some() {
            unasked.push("its limits");
        }
        Ok(Foreseen::LetIn(unasked))
    }
}
