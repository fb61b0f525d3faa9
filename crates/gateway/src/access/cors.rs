//! Cross-origin requests (the Fetch standard, 3.2).

use super::decoration::Decoration;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use plan::{Cors as Rule, Origins};

/// A rule, with the values that it sends ready for use.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Origins,
    credentials: bool,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    pub(crate) fn new(rule: &Rule) -> Self {
        // The plan has checked that they are tokens.
        let list = |names: &[String]| {
            HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
        };
        Self {
            origins: rule.origins.clone(),
            credentials: rule.credentials,
            methods: list(&rule.methods),
            headers: rule.headers.as_deref().map(list),
            exposed: Some(&rule.exposed[..])
                .filter(|all| !all.is_empty())
                .map(list),
            max_age: rule.max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// Whether a browser asks for permission first.
    pub(crate) fn is_preflight(parts: &Parts) -> bool {
        parts.method == Method::OPTIONS
            && parts.headers.contains_key(header::ORIGIN)
            && parts
                .headers
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Says who may read the answer. False where it is not who asks.
    pub(crate) fn tell(&self, headers: &HeaderMap, told: &mut Decoration) -> bool {
        told.owns_cors();
        let any = self.origins == Origins::Any;
        if !any || self.credentials {
            told.push(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        if !self.admits(origin) {
            return false;
        }
        let allowed = if any && !self.credentials {
            HeaderValue::from_static("*")
        } else {
            origin.clone()
        };
        told.push(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            told.push(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if let Some(exposed) = &self.exposed {
            told.push(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
        true
    }

    /// Says what a page may do, in the answer to a preflight.
    pub(crate) fn permit(&self, headers: &HeaderMap, told: &mut Decoration) {
        told.push(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(names) = self.headers.as_ref().or(asked) {
            told.push(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        if let Some(age) = &self.max_age {
            told.push(header::ACCESS_CONTROL_MAX_AGE, age.clone());
        }
    }

    fn admits(&self, origin: &HeaderValue) -> bool {
        let Origins::Some(all) = &self.origins else {
            return true;
        };
        origin.to_str().is_ok_and(|text| {
            let text = text.to_ascii_lowercase();
            all.iter().any(|one| one.matches(&text))
        })
    }
}
