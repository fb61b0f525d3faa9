//! Credentials in queries, which no log may show.

use plan::{Plan, Policies};
use std::{borrow::Cow, collections::BTreeSet};

/// What stands in the log instead.
const HIDDEN: &str = "***";

/// Usual names of credentials in queries, hidden whether or not the plan
/// reads any of them.
const USUAL: [&str; 27] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "client_secret",
    "code",
    "id_token",
    "jwt",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "sessionid",
    "sig",
    "signature",
    "ticket",
    "token",
    "x-amz-security-token",
    "x-amz-signature",
    "x-api-key",
    "x-goog-signature",
];

/// The parameters whose values are hidden.
#[derive(Debug)]
pub(crate) struct Redaction(BTreeSet<String>);

impl Redaction {
    /// Those that the plan reads credentials from, and the usual ones.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut names: BTreeSet<String> = USUAL.map(str::to_owned).into();
        let routes = plan.gateway.routes.iter().map(|route| &route.policies);
        let extractions = plan.extractions.values().map(|one| &one.policies);
        let all = std::iter::once(&plan.gateway.access.policies);
        for policies in all.chain(routes).chain(extractions) {
            let Policies { keys, jwt, .. } = policies;
            names.extend(keys.iter().flat_map(|keys| keys.query.clone()));
            names.extend(jwt.iter().flat_map(|jwt| jwt.query.clone()));
        }
        Self(names)
    }

    /// A query without them.
    pub(crate) fn apply<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let is_hidden = |pair: &str| {
            let name = pair.split('=').next().unwrap_or(pair);
            self.0.iter().any(|one| one.eq_ignore_ascii_case(name))
                // Written another way, it may be one of them.
                || name.contains('%')
        };
        if !query.split('&').any(is_hidden) {
            return Cow::Borrowed(query);
        }
        let mut shown = String::with_capacity(query.len());
        for pair in query.split('&') {
            if !shown.is_empty() {
                shown.push('&');
            }
            let name = pair.split('=').next().unwrap_or(pair);
            if is_hidden(pair) {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            } else {
                shown.push_str(pair);
            }
        }
        Cow::Owned(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_and_the_rest_is_shown() {
        let redaction = Redaction(["token".to_owned(), "k".to_owned()].into());
        assert!(matches!(redaction.apply("a=1&b"), Cow::Borrowed("a=1&b")));
        assert_eq!(redaction.apply("a=1&Token=x&b=2"), "a=1&Token=***&b=2");
        assert_eq!(redaction.apply("k=secret=more"), "k=***");
        for usual in ["x-api-key", "code", "sig", "Signature", "X-Amz-Signature"] {
            let redaction = Redaction(USUAL.map(str::to_owned).into());
            let query = format!("{usual}=secret&page=2");
            assert_eq!(redaction.apply(&query), format!("{usual}=***&page=2"));
        }
        // `%6b` is k.
        assert_eq!(redaction.apply("%6b=secret"), "%6b=***");
    }
}
