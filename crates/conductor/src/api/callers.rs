//! Who calls, and what they may do.
//!
//! A personal key proves who it is, and has the role that the plan gives it. The token of
//! the state directory proves only that somebody may read that directory: an operator in
//! the name that the call claims, and one who approves only where nobody has a key.

use super::failure::{failure, forbidden};
use super::messages::ErrorKind;
use super::verbs::needed_role;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use plan::{People, Role};
use protocol::rollout::Actor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Longer names are refused: they are kept for ever.
const NAME_BYTES_MAX: usize = 500;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody with a key of their own.
    KeyHolder { name: String, role: Role },
    /// Somebody who may read the state directory.
    TokenHolder { role: Role },
}

/// What `/v1/me` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Whose key it is; none of the state directory's token.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether a key proves the name.
    pub proven: bool,
}

impl Caller {
    pub(super) fn role(&self) -> Role {
        match self {
            Self::KeyHolder { role, .. } | Self::TokenHolder { role } => *role,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let (name, proven) = match self {
            Self::KeyHolder { name, .. } => (Some(name.clone()), true),
            Self::TokenHolder { .. } => (None, false),
        };
        Identity {
            name,
            role: self.role(),
            proven,
        }
    }

    /// Who gives an order, as far as that is known; `claimed`: who the call says it is.
    pub(super) fn actor(&self, claimed: Option<&str>) -> Result<Option<Actor>, String> {
        let claimed = claimed.map(str::trim);
        match (self, claimed) {
            (Self::KeyHolder { name, .. }, Some(claimed)) if claimed != name => Err(format!(
                "the key is that of `{name}`, and the order says that it is somebody else's: leave \
                 out `--by` (BANYAN_USER), or use that person's key"
            )),
            (Self::KeyHolder { name, .. }, _) => Ok(Some(Actor::KeyHolder(name.clone()))),
            (Self::TokenHolder { .. }, None) => Ok(None),
            (Self::TokenHolder { .. }, Some(claimed)) if is_name(claimed) => {
                Ok(Some(Actor::Person(claimed.to_owned())))
            }
            (Self::TokenHolder { .. }, Some(_)) => Err(format!(
                "who orders it is a name of 1 to {NAME_BYTES_MAX} bytes in one line: `--by NAME`"
            )),
        }
    }

    /// Why this caller may not do what needs a role; `what`: in words.
    pub(super) fn refusal(&self, what: &str, needed: Role) -> Option<String> {
        if self.role() >= needed {
            return None;
        }
        Some(match self {
            Self::KeyHolder { name, role } => format!(
                "{what} needs the role `{needed}`, and `{name}` is `{role}`. Ask somebody who has \
                 it, or change `control.keys.{name}.role` in the plan and `banyan reload`"
            ),
            Self::TokenHolder { .. } => format!(
                "{what} needs the role `{needed}`, and the token of the state directory proves \
                 nobody's. Use a personal key of the plan's `control.keys`: BANYAN_KEY"
            ),
        })
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// What a group of calls needs, and by what it is told who calls.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) role: Role,
    /// The token of the state directory.
    pub(super) token: Arc<str>,
    /// Who has a key now.
    pub(super) people: Arc<dyn Fn() -> Arc<People> + Send + Sync>,
}

/// Lets pass who has the role, and says to the call who that is.
pub(super) async fn admit(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    let people = (admission.people)();
    let Some(caller) = caller(request.headers(), &admission.token, &people) else {
        let error = "the key or token is missing or wrong. A personal key is one of the plan's \
                     `control.keys` (BANYAN_KEY); the token is in the state directory's \
                     control.json";
        let code = StatusCode::UNAUTHORIZED;
        return failure(code, ErrorKind::Refused, error.to_owned(), Vec::new()).into_response();
    };
    let path = request.uri().path();
    let what = format!("`{} {path}`", request.method());
    // Who may not order hears at once what the verb needs.
    let verb = path.rsplit('/').next().unwrap_or_default();
    let role = match admission.role {
        Role::Operator => needed_role(verb),
        role => role,
    };
    if let Some(why) = caller.refusal(&what, role) {
        return forbidden(why).into_response();
    }
    request.extensions_mut().insert(Arc::new(caller));
    next.run(request).await
}

/// Whose key or token the headers carry. All keys are compared, whichever it is.
fn caller(headers: &HeaderMap, token: &str, people: &People) -> Option<Caller> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return None;
    };
    let given = given.as_bytes().strip_prefix(b"Bearer ")?;
    let is = |secret: &[u8]| bool::from(given.ct_eq(secret));
    let role = if people.is_empty() {
        Role::Approver
    } else {
        Role::Operator
    };
    let mut found = is(token.as_bytes()).then_some(Caller::TokenHolder { role });
    for (name, person) in people {
        if is(person.key.expose()) {
            found = Some(Caller::KeyHolder {
                name: name.clone(),
                role: person.role,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Person, Secret};

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn people() -> People {
        let person = |name: &str, role, key: &str| {
            let key = Secret::new(key).unwrap();
            (name.to_owned(), Person { role, key })
        };
        People::from([
            person("anna", Role::Approver, "anna-key-0123456789"),
            person("vera", Role::Viewer, "vera-key-0123456789"),
        ])
    }

    fn with(headers: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn a_key_is_its_owners_and_the_token_nobodys() {
        let of = |headers: &[&str], people: &People| caller(&with(headers), TOKEN, people);
        let anna = of(&["Bearer anna-key-0123456789"], &people()).unwrap();
        assert_eq!(
            anna,
            Caller::KeyHolder {
                name: "anna".to_owned(),
                role: Role::Approver
            }
        );
        let token = format!("Bearer {TOKEN}");
        let role = |people: &People| of(&[&token], people).unwrap().role();
        assert_eq!(role(&People::new()), Role::Approver);
        assert_eq!(role(&people()), Role::Operator);
        for wrong in [
            vec![],
            vec![""],
            vec!["Bearer "],
            vec!["Bearer"],
            vec!["anna-key-0123456789"],
            vec!["Basic anna-key-0123456789"],
            vec!["Bearer anna-key-012345678"],
            vec!["Bearer anna-key-01234567890"],
            vec!["Bearer anna-key-0123456789 "],
            vec!["Bearer  anna-key-0123456789"],
            vec!["Bearer anna-key-0123456789, Bearer vera-key-0123456789"],
            vec!["Bearer anna-key-0123456789", "Bearer anna-key-0123456789"],
            vec!["Bearer vera-key-0123456789", "Bearer anna-key-0123456789"],
            vec!["Bearer anna"],
        ] {
            // A header's value is trimmed by who reads it off the wire, not here.
            assert_eq!(of(&wrong, &people()), None, "{wrong:?}");
        }
    }

    #[test]
    fn nobody_orders_in_the_name_of_another() {
        let anna = Caller::KeyHolder {
            name: "anna".to_owned(),
            role: Role::Operator,
        };
        let proven = Ok(Some(Actor::KeyHolder("anna".to_owned())));
        assert_eq!(anna.actor(None), proven);
        assert_eq!(anna.actor(Some("anna ")), proven);
        for other in ["ben", "", "Anna", "anna\n"] {
            let as_other = anna.actor(Some(other));
            assert_eq!(as_other.is_ok(), other.trim() == "anna", "{other:?}");
        }
        let token = Caller::TokenHolder {
            role: Role::Operator,
        };
        let claimed = Ok(Some(Actor::Person("ben".to_owned())));
        assert_eq!(token.actor(Some("ben")), claimed);
        assert_eq!(token.actor(None), Ok(None));
        for bad in ["", " ", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(token.actor(Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_role_and_the_way_to_it() {
        let vera = Caller::KeyHolder {
            name: "vera".to_owned(),
            role: Role::Viewer,
        };
        assert_eq!(vera.refusal("`status`", Role::Viewer), None);
        let refusal = vera.refusal("`switch`", Role::Operator).unwrap();
        assert!(refusal.contains("`switch` needs the role `operator`"));
        assert!(refusal.contains("control.keys.vera.role"), "{refusal}");
    }
}
