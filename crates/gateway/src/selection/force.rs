//! Testers choose a side for their reads themselves, and for their writes where
//! both sides share the data.

use http::{HeaderMap, HeaderName};
use plan::Secret;
use protocol::Side;
use subtle::ConstantTimeEq;

/// How testers of an extraction choose.
#[derive(Debug)]
pub(crate) struct Force {
    header: HeaderName,
    key_header: HeaderName,
    key: Secret,
}

impl Force {
    /// From the plan, which has checked the name.
    pub(crate) fn new(plan: &plan::Force) -> Option<Self> {
        Some(Self {
            header: plan.header.parse().ok()?,
            key_header: format!("{}-key", plan.header).parse().ok()?,
            key: plan.key.clone(),
        })
    }

    /// The side that a request chooses, if it may.
    pub(crate) fn side(&self, headers: &HeaderMap) -> Option<Side> {
        let side = match headers.get(&self.header)?.as_bytes() {
            b"always" => Side::Service,
            b"never" => Side::Monolith,
            _ => return None,
        };
        let key = headers.get(&self.key_header)?;
        bool::from(key.as_bytes().ct_eq(self.key.expose())).then_some(side)
    }

    /// Takes the key away: no upstream needs to know it.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        headers.remove(&self.key_header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_key_chooses() {
        let force = Force::new(&plan::Force {
            header: "x-canary".to_owned(),
            key: Secret::new("s3cret").unwrap(),
        })
        .unwrap();
        let side = |value: &str, key: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-canary", value.parse().unwrap());
            if let Some(key) = key {
                headers.insert("x-canary-key", key.parse().unwrap());
            }
            let side = force.side(&headers);
            force.strip(&mut headers);
            assert!(!headers.contains_key("x-canary-key"));
            side
        };
        assert_eq!(side("always", Some("s3cret")), Some(Side::Service));
        assert_eq!(side("never", Some("s3cret")), Some(Side::Monolith));
        assert_eq!(side("perhaps", Some("s3cret")), None);
        for wrong in [None, Some(""), Some("s3cre"), Some("s3crett")] {
            assert_eq!(side("always", wrong), None, "{wrong:?}");
        }
    }
}
