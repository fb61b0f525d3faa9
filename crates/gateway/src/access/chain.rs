//! What is demanded at one place, in the order of [`super`].

mod foresight;

pub(crate) use foresight::Foreseen;

use super::{
    addresses,
    admission::Admission,
    context::{Context, now},
    cors::Cors,
    decoration::Decoration,
    identity::{self, Identity},
    limits::{LimitVerdict, LimitedRequest, Limits},
    presented::{Others, Places, Presented},
    token::{self, Unverified},
    worker_state::AccessState,
};
use crate::base::{
    denial::{BadToken, Denial},
    refusal::Refusal,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use plan::{AddressRule, Generator, Jwt, Policies};
use std::{net::IpAddr, rc::Rc};

/// What is demanded at one place, ready for use.
pub(crate) struct Chain {
    addresses: Option<AddressRule>,
    cors: Option<Cors>,
    body: Option<u64>,
    jwt: Option<TokenPlaces>,
    keys: Option<KeyRule>,
    groups: Option<Vec<String>>,
    limits: Option<Limits>,
    correlation: Option<(HeaderName, Generator, bool)>,
    kong_headers: bool,
    /// What it was made of.
    policies: Policies,
}

/// Where keys are looked for.
struct KeyRule {
    places: Places,
    /// Whether the upstream does not get to see them.
    hide: bool,
}

/// Where tokens are looked for, and what they must be.
struct TokenPlaces {
    places: Places,
    rule: Jwt,
    /// Told apart from the rule of any other place.
    number: usize,
}

/// Who asks, as far as it was asked.
#[derive(Default)]
struct Who {
    token: Option<Rc<Identity>>,
    key: Option<Rc<Identity>>,
}

impl Who {
    /// A token says more than a key, unless the key says which consumer.
    fn principal(self) -> Option<Rc<Identity>> {
        match (self.token, self.key) {
            (Some(token), Some(key)) if token.credential.is_none() => Some(key),
            (token, key) => token.or(key),
        }
    }

    fn is_in(&self, groups: &[String]) -> bool {
        [&self.token, &self.key]
            .into_iter()
            .flatten()
            .any(|who| who.is_in(groups))
    }
}

impl Chain {
    pub(crate) fn new(policies: &Policies, number: usize) -> Self {
        let correlation = |rule: &plan::Correlation| {
            // The plan has checked the name.
            let name = rule.header.parse().ok()?;
            Some((name, rule.generator, rule.echo))
        };
        Self {
            addresses: policies.addresses.clone(),
            cors: policies.cors.as_ref().map(Cors::new),
            body: policies.body.map(|size| size.0),
            jwt: policies.jwt.as_ref().map(|rule| TokenPlaces {
                places: Places::new(&rule.headers, &rule.query, &rule.cookies),
                rule: rule.clone(),
                number,
            }),
            keys: policies.keys.as_ref().map(|rule| KeyRule {
                places: Places::new(&rule.headers, &rule.query, &[]),
                hide: rule.hide,
            }),
            groups: policies.groups.clone(),
            limits: policies.limits.as_ref().map(Limits::new),
            correlation: policies.correlation.as_ref().and_then(correlation),
            kong_headers: policies.kong_headers,
            policies: policies.clone(),
        }
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Lets a request in or answers it.
    pub(crate) async fn walk(
        &self,
        context: &Context,
        state: &AccessState,
        parts: &mut Parts,
        arrival: Arrival,
    ) -> Result<Admission, Answered> {
        let mut told = Decoration::default();
        match self.look(context, state, parts, arrival, &mut told).await {
            Ok(Passed::Let(who, sent)) => Ok(Admission::new(who, sent, told, self.body)),
            Ok(Passed::Preflight) => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::NO_CONTENT;
                told.apply(response.headers_mut());
                Err(Answered(Box::new(response)))
            }
            Err((denial, status)) => {
                context.lasting.metrics.refused(denial);
                let mut response = Refusal::Access(denial).response();
                *response.status_mut() = status;
                told.apply(response.headers_mut());
                if let Some(challenge) = Self::challenge(denial) {
                    let headers = response.headers_mut();
                    headers.append(header::WWW_AUTHENTICATE, challenge);
                }
                Err(Answered(Box::new(response)))
            }
        }
    }

    async fn look(
        &self,
        context: &Context,
        state: &AccessState,
        parts: &mut Parts,
        arrival: Arrival,
        told: &mut Decoration,
    ) -> Result<Passed, (Denial, StatusCode)> {
        let refused = |denial: Denial| (denial, denial.status());
        let client = addresses::client(arrival.peer, &parts.headers, &context.trusted);
        if let Some(rule) = &self.addresses
            && !addresses::is_admitted(rule, client)
        {
            return Err(refused(Denial::Address));
        }
        if let Some(cors) = &self.cors {
            let admitted = cors.tell(&parts.headers, told);
            if Cors::is_preflight(parts) {
                if !admitted {
                    return Err(refused(Denial::Origin));
                }
                cors.permit(&parts.headers, told);
                return Ok(Passed::Preflight);
            }
        }
        // One that does not say its length is bounded while it is read.
        let is_above = |limit| arrival.length.is_some_and(|length| length > limit);
        if self.body.is_some_and(is_above) {
            return Err(refused(Denial::BodyTooLarge));
        }
        let now = now();
        let (who, others) = self
            .authenticate(context, state, parts, now)
            .await
            .map_err(refused)?;
        self.remove_others(parts, others);
        if let Some(groups) = &self.groups
            && !who.is_in(groups)
        {
            return Err(refused(Denial::Group));
        }
        let who = who.principal();
        if let Some(limits) = &self.limits {
            let asking = LimitedRequest {
                who: who.as_deref(),
                client,
                headers: &parts.headers,
                path: parts.uri.path(),
                now,
            };
            let verdict = limits
                .take(
                    &asking,
                    &context.lasting.counters,
                    context.lasting.seed,
                    &state.remote,
                    told,
                )
                .await;
            context.lasting.metrics.limited(verdict);
            match verdict {
                LimitVerdict::Within | LimitVerdict::Unknown => {}
                LimitVerdict::Refuse => return Err(refused(Denial::CountersUnknown)),
                LimitVerdict::Full(status) => {
                    let usual = Denial::TooMany.status();
                    let status = StatusCode::from_u16(status).unwrap_or(usual);
                    return Err((Denial::TooMany, status));
                }
            }
        }
        let sent = self.pass_on(context, state, parts, who.as_deref(), now, told);
        Ok(Passed::Let(who, sent))
    }

    /// Who a token says that its client is, where the keys at hand verify it.
    pub(crate) fn vouched(
        &self,
        context: &Context,
        parts: &Parts,
        now: u64,
    ) -> Option<Rc<Identity>> {
        let places = self.jwt.as_ref()?;
        let token = places.find(parts).ok()??.value;
        let set = context.issuer.as_ref().filter(|_| places.rule.jwks);
        let set = set.and_then(|issuer| issuer.keys());
        let verdict = token::verify(&token, &places.rule, &context.credentials, set.as_deref());
        let verified = verdict.ok()?;
        verified.timely(&places.rule, now).ok()?;
        Some(verified.who)
    }

    async fn authenticate(
        &self,
        context: &Context,
        state: &AccessState,
        parts: &Parts,
        now: u64,
    ) -> Result<(Who, [Others; 2]), Denial> {
        let mut who = Who::default();
        let mut others = [Others::None; 2];
        if let Some(places) = &self.jwt {
            let token = places.find(parts)?.ok_or(Denial::NoToken)?;
            who.token = Some(places.verify(context, state, &token.value, now).await?);
            others[0] = token.others;
        }
        if let Some(rule) = &self.keys {
            let key = rule.places.find(parts, |value| value)?;
            let key = key.ok_or(Denial::NoKey)?;
            let credential = context.ring.find(&key.value).ok_or(Denial::BadKey)?;
            who.key = Some(state.identity(credential));
            others[1] = key.others;
        }
        Ok((who, others))
    }

    /// What was verified is all that goes on.
    fn remove_others(&self, parts: &mut Parts, [token, key]: [Others; 2]) {
        if let Some(places) = &self.jwt {
            places.places.remove_others(parts, token);
        }
        if let Some(rule) = &self.keys {
            rule.places.remove_others(parts, key);
        }
    }

    /// Hides what the upstream is not to see, and says what it is to know.
    fn pass_on(
        &self,
        context: &Context,
        state: &AccessState,
        parts: &mut Parts,
        who: Option<&Identity>,
        now: u64,
        told: &mut Decoration,
    ) -> Headers {
        let mut sent = Headers::new();
        if let Some(rule) = self.keys.as_ref().filter(|rule| rule.hide) {
            rule.places.remove_all(parts);
        }
        if let (Some(who), Some(signer)) = (who, &context.signer) {
            sent.push((signer.header().clone(), signer.signed(who, now)));
        }
        if let Some(who) = who.filter(|_| self.kong_headers) {
            sent.extend(identity::as_kong(who));
        }
        if let Some((name, generator, echo)) = &self.correlation {
            let id = match parts.headers.get(name) {
                Some(brought) => brought.clone(),
                None => state.correlation(*generator),
            };
            if *echo {
                told.push(name.clone(), id.clone());
            }
            sent.push((name.clone(), id));
        }
        sent
    }

    /// What a client is asked for (RFC 9110, 11.6.1).
    fn challenge(denial: Denial) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(match denial {
            Denial::NoToken => "Bearer",
            Denial::BadToken(_) => "Bearer error=\"invalid_token\"",
            Denial::NoKey | Denial::BadKey => "Key",
            _ => return None,
        }))
    }
}

type Headers = Vec<(HeaderName, HeaderValue)>;

enum Passed {
    Let(Option<Rc<Identity>>, Headers),
    Preflight,
}

impl TokenPlaces {
    /// The token that a request brings: of a header, a query, a cookie.
    fn find<'a>(&self, parts: &'a Parts) -> Result<Option<Presented<'a>>, Denial> {
        let bare = |value: &'a [u8]| {
            let token = match value.split_at_checked(7) {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
                _ => value,
            };
            token.trim_ascii()
        };
        self.places.find(parts, bare)
    }

    async fn verify(
        &self,
        context: &Context,
        state: &AccessState,
        token: &[u8],
        now: u64,
    ) -> Result<Rc<Identity>, Denial> {
        let issuer = context.issuer.as_ref().filter(|_| self.rule.jwks);
        let mut asked = false;
        loop {
            let set = issuer.and_then(|issuer| issuer.keys());
            let generation = set.as_ref().map_or(0, |set| set.generation);
            let known = state.remembered.find(token, self.number, generation);
            let verdict = match known {
                Some(verified) => Ok(verified),
                None => token::verify(token, &self.rule, &context.credentials, set.as_deref())
                    .inspect(|verified| {
                        state
                            .remembered
                            .keep(token, self.number, generation, verified);
                    }),
            };
            let (bad, issuer) = match (verdict, issuer) {
                (Ok(verified), _) => {
                    verified.timely(&self.rule, now).map_err(Denial::BadToken)?;
                    return Ok(verified.who);
                }
                // Its keys were not read yet: this may be one of theirs.
                (Err(Unverified::Bad(BadToken::UnknownKey)), Some(issuer)) if set.is_none() => {
                    (Denial::IssuerUnknown, issuer)
                }
                (Err(Unverified::UnknownToIssuer), Some(issuer)) => {
                    (Denial::BadToken(BadToken::UnknownKey), issuer)
                }
                (Err(Unverified::UnknownToIssuer), None) => {
                    return Err(Denial::BadToken(BadToken::UnknownKey));
                }
                (Err(Unverified::Bad(bad)), _) => return Err(Denial::BadToken(bad)),
            };
            if asked || !issuer.renewed(generation).await {
                return Err(bad);
            }
            asked = true;
        }
    }
}

/// What a head does not say about its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) peer: IpAddr,
    /// Of the body, where it is known beforehand.
    pub(crate) length: Option<u64>,
}

/// The answer to a request that was not let in, or that ends here.
pub(crate) struct Answered(pub(crate) Box<Response<Bytes>>);
