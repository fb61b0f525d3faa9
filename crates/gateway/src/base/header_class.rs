//! What a header's name means to the gateway, in whichever way it is spelled.
//!
//! CGI and its heirs (WSGI, Rack, PHP) make `HTTP_X_REAL_IP` of `X-Real-IP`, and of
//! `x_real.ip` as well: whoever can send the latter has sent the former. So a name
//! is looked at twice. As it is, lower case, for what is done with a header
//! ([`HeaderClass::of`]); and folded, all that is neither letter nor digit taken for
//! a dash, for what must not get through under another spelling ([`imitates`]).
//!
//! One `match` on the length: most headers of most requests cost that and no more.

/// What a header is to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderClass {
    /// It passes.
    Other,
    /// `Content-Length`.
    Length,
    /// For one connection only, besides those that `Connection` names (RFC 9110, 7.6.1).
    HopByHop,
    Expect,
    /// `X-Correlation-Id`.
    Correlation,
    /// `X-Banyan-Shadow`: the answer is only compared.
    Shadow,
    /// What only the gateway may say, whatever the plan says: who asks.
    Reserved,
    /// What a proxy in front says about where a request came from.
    Forwarding(Forwarding),
}

/// What a proxy in front says about where a request came from. Upstreams believe it:
/// they build links of it, log it, limit by it and let in by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// `X-Forwarded-For`.
    For,
    /// `X-Forwarded-Host`.
    Host,
    /// `X-Forwarded-Proto`.
    Proto,
    /// `X-Real-IP`.
    RealIp,
    /// Another name of the client's address. The gateway does not write it itself.
    Address,
    /// The rest, which the gateway does not write itself.
    Rest,
}

/// Longer than any name below; what is longer can only begin as one.
const FOLDED_BYTES: usize = 40;

impl HeaderClass {
    /// Of a name in lower case.
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |other: &[u8]| name == other;
        match name.len() {
            2 if is(b"te") => Self::HopByHop,
            6 if is(b"expect") => Self::Expect,
            6 if is(b"x-host") => REST,
            7 if is(b"upgrade") => Self::HopByHop,
            8 if is(b"x-scheme") => REST,
            9 if is(b"x-real-ip") => Self::Forwarding(Forwarding::RealIp),
            9 if is(b"forwarded") => REST,
            9 if is(b"client-ip") => ADDRESS,
            10 if is(b"connection") || is(b"keep-alive") => Self::HopByHop,
            11 if is(b"x-forwarded") => REST,
            11 if is(b"x-client-ip") || is(b"x-remote-ip") => ADDRESS,
            12 if is(b"x-url-scheme") => REST,
            13 if is(b"x-rewrite-url") || is(b"x-script-name") => REST,
            13 if is(b"forwarded-for") || is(b"x-remote-addr") => ADDRESS,
            14 if is(b"content-length") => Self::Length,
            14 if is(b"x-original-url") || is(b"x-original-uri") => REST,
            14 if is(b"true-client-ip") => ADDRESS,
            15 if is(b"x-banyan-shadow") => Self::Shadow,
            15 if is(b"x-forwarded-for") => Self::Forwarding(Forwarding::For),
            15 if is(b"front-end-https") || is(b"x-original-host") => REST,
            16 if is(b"proxy-connection") => Self::HopByHop,
            16 if is(b"x-correlation-id") => Self::Correlation,
            16 if is(b"x-forwarded-host") => Self::Forwarding(Forwarding::Host),
            16 if is(b"cf-connecting-ip") || is(b"fastly-client-ip") => ADDRESS,
            16 if is(b"x-originating-ip") => ADDRESS,
            17 if is(b"transfer-encoding") => Self::HopByHop,
            17 if is(b"x-forwarded-proto") => Self::Forwarding(Forwarding::Proto),
            18 if is(b"proxy-authenticate") => Self::HopByHop,
            19 if is(b"proxy-authorization") => Self::HopByHop,
            19 if is(b"x-cluster-client-ip") => ADDRESS,
            12.. => Self::by_prefix(name),
            _ => Self::Other,
        }
    }

    fn by_prefix(name: &[u8]) -> Self {
        let Some(rest) = name.strip_prefix(b"x-") else {
            return Self::Other;
        };
        let begins = |with: &[u8]| rest.starts_with(with);
        match rest[0] {
            b'f' if begins(b"forwarded-") => REST,
            b'b' if rest == b"banyan-identity" => Self::Reserved,
            // What Kong, and who was behind it, tells upstreams about consumers.
            b'c' if begins(b"consumer-") || begins(b"credential-") => Self::Reserved,
            b'a' if begins(b"anonymous-consumer") || begins(b"authenticated-") => Self::Reserved,
            _ => Self::Other,
        }
    }
}

const REST: HeaderClass = HeaderClass::Forwarding(Forwarding::Rest);
const ADDRESS: HeaderClass = HeaderClass::Forwarding(Forwarding::Address);

/// What a name of any spelling comes to at upstreams that fold names.
pub(crate) fn folded_class(name: &[u8]) -> HeaderClass {
    let mut folded = [0; FOLDED_BYTES];
    let length = name.len().min(FOLDED_BYTES);
    for (to, byte) in folded.iter_mut().zip(name) {
        *to = fold(*byte);
    }
    HeaderClass::of(&folded[..length])
}

/// Whether a name that is not spelled with dashes alone is, folded, one that frames a
/// message or that upstreams trust because the gateway sets it.
pub(crate) fn imitates(name: &[u8]) -> bool {
    let is_odd = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'-';
    name.iter().any(is_odd)
        && (folded_class(name) != HeaderClass::Other || starts_folded(name, b"x-banyan-"))
}

fn starts_folded(name: &[u8], with: &[u8]) -> bool {
    name.len() >= with.len() && folds_alike(&name[..with.len()], with)
}

/// Whether two names are the same one to an upstream that folds names.
pub(crate) fn folds_alike(one: &[u8], other: &[u8]) -> bool {
    let same = |(one, other): (&u8, &u8)| fold(*one) == fold(*other);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let of = |name: &str| HeaderClass::of(name.as_bytes());
        for (name, class) in [
            ("accept", HeaderClass::Other),
            ("x-consume", HeaderClass::Other),
            ("x-forwardedfor", HeaderClass::Other),
            ("x-user-id", HeaderClass::Other),
            ("te", HeaderClass::HopByHop),
            ("proxy-authorization", HeaderClass::HopByHop),
            ("content-length", HeaderClass::Length),
            ("x-banyan-identity", HeaderClass::Reserved),
            ("x-consumer-id", HeaderClass::Reserved),
            ("x-authenticated-groups", HeaderClass::Reserved),
            (
                "x-forwarded-proto",
                HeaderClass::Forwarding(Forwarding::Proto),
            ),
            ("x-forwarded-prefix", REST),
            ("x-forwarded-anything-that-one-may-make-up-tomorrow", REST),
            ("forwarded", REST),
            ("x-cluster-client-ip", ADDRESS),
            ("x-real-ip", HeaderClass::Forwarding(Forwarding::RealIp)),
        ] {
            assert_eq!(of(name), class, "{name}");
        }
    }

    #[test]
    fn another_spelling_is_an_imitation() {
        for name in [
            "Content_Length",
            "transfer_encoding",
            "X_Forwarded-For",
            "x_real_ip",
            "X.Real.IP",
            "x_forwarded_anything",
            "x_banyan_side",
            "x-consumer_id",
            "front_end_https",
            "x_authenticated_userid",
        ] {
            assert!(imitates(name.as_bytes()), "{name}");
        }
        for name in ["x-real-ip", "x_y", "x_consume", "content-length"] {
            assert!(!imitates(name.as_bytes()), "{name}");
        }
    }
}
