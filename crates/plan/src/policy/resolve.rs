//! From the file's policies to checked ones.

use super::{
    AddressRule, Correlation, Cors, Generator, Jwt, Keys, Limit, LimitBy, Limits, OnError, Origin,
    Origins, Period, Policies, Store,
    file::{
        ByFile, CorrelationFile, CorsFile, GeneratorFile, JwtFile, KeysFile, LimitFile,
        OnErrorFile, PoliciesFile, StoreFile,
    },
};
use crate::{
    ByteSize, PlanError,
    located::{Located, Position},
    resolve::{Environment, Text, parse, time_or, token},
};
use ipnet::IpNet;
use std::{net::IpAddr, num::NonZeroU64, time::Duration};

/// Clocks of servers that are looked after differ by less.
const LEEWAY: Duration = Duration::from_secs(10);

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];

/// Resolves the policies that stand at `scope`.
pub(crate) fn resolve(
    file: PoliciesFile,
    scope: &str,
    environment: Environment<'_>,
) -> Result<Policies, PlanError> {
    let size = |text: &Text| parse(text, environment, ByteSize::parse);
    let plain = |text: &Text| parse(text, environment, |text| Ok(text.to_owned()));
    let policies = Policies {
        addresses: addresses(file.allow, file.deny, environment)?,
        cors: file.cors.map(|file| cors(file, environment)).transpose()?,
        body: file.body_bytes.as_ref().map(size).transpose()?,
        keys: file.keys.map(|file| keys(&file, environment)).transpose()?,
        jwt: file.jwt.map(|file| jwt(&file, environment)).transpose()?,
        groups: file
            .groups
            .map(|all| all.iter().map(plain).collect::<Result<_, _>>())
            .transpose()?,
        limits: file
            .limits
            .map(|all| limits(all, scope, environment))
            .transpose()?,
        correlation: file
            .correlation
            .map(|file| correlation(&file, environment))
            .transpose()?,
        kong_headers: false,
    };
    Ok(policies)
}

fn addresses(
    allow: Option<Vec<Text>>,
    deny: Option<Vec<Text>>,
    environment: Environment<'_>,
) -> Result<Option<AddressRule>, PlanError> {
    if allow.is_none() && deny.is_none() {
        return Ok(None);
    }
    let blocks = |all: Option<Vec<Text>>| {
        all.unwrap_or_default()
            .iter()
            .map(|one| parse(one, environment, address_block))
            .collect::<Result<_, _>>()
    };
    Ok(Some(AddressRule {
        allow: blocks(allow)?,
        deny: blocks(deny)?,
    }))
}

/// `10.0.0.0/8`, or one address.
pub(crate) fn address_block(text: &str) -> Result<IpNet, String> {
    let block = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    block
        .map(|block| block.trunc())
        .map_err(|_| format!("`{text}` is no address block: write 10.0.0.0/8 or 10.1.2.3"))
}

/// A header's name, lower case.
pub(crate) fn header_name(text: &str) -> Result<String, String> {
    token(text).map(|name| name.to_ascii_lowercase())
}

fn keys(file: &KeysFile, environment: Environment<'_>) -> Result<Keys, PlanError> {
    let mut headers = Vec::new();
    if let Some(header) = &file.header {
        headers.push(parse(header, environment, header_name)?);
    }
    let mut query = Vec::new();
    if let Some(name) = &file.query {
        query.push(parse(name, environment, token)?);
    }
    if headers.is_empty() && query.is_empty() {
        headers.push("x-api-key".to_owned());
    }
    Ok(Keys {
        headers,
        query,
        hide: file.hide,
    })
}

fn jwt(file: &JwtFile, environment: Environment<'_>) -> Result<Jwt, PlanError> {
    let name = |text: &Option<Text>| {
        text.iter()
            .map(|one| parse(one, environment, token))
            .collect::<Result<Vec<_>, _>>()
    };
    let plain = |text: &Text| parse(text, environment, |text| Ok(text.to_owned()));
    let all = |texts: &[Text]| texts.iter().map(plain).collect::<Result<Vec<_>, _>>();
    let mut headers = name(&file.header)?;
    if headers.is_empty() {
        headers.push("authorization".to_owned());
    }
    for name in &mut headers {
        name.make_ascii_lowercase();
    }
    Ok(Jwt {
        headers,
        query: name(&file.query)?,
        cookies: name(&file.cookie)?,
        key_claim: match &file.key_claim {
            Some(claim) => plain(claim)?,
            None => "iss".to_owned(),
        },
        issuers: all(&file.issuers)?,
        audiences: all(&file.audiences)?,
        required: match &file.required {
            Some(claims) => all(claims)?,
            None => vec!["exp".to_owned()],
        },
        leeway: time_or(file.leeway.as_ref(), LEEWAY)?,
        lifetime_max: file
            .lifetime_max
            .as_ref()
            .map(|text| time_or(Some(text), LEEWAY))
            .transpose()?,
        secrets_are_base64: false,
        jwks: true,
    })
}

fn limits(
    all: Vec<Located<LimitFile>>,
    scope: &str,
    environment: Environment<'_>,
) -> Result<Limits, PlanError> {
    let rules = all
        .into_iter()
        .map(|one| limit(one.at, one.value, environment))
        .collect::<Result<_, _>>()?;
    Ok(Limits {
        scope: scope.to_owned(),
        rules,
    })
}

fn limit(at: Position, file: LimitFile, environment: Environment<'_>) -> Result<Limit, PlanError> {
    let counts = [
        file.second,
        file.minute,
        file.hour,
        file.day,
        file.month,
        file.year,
    ];
    let mut windows: Vec<(Period, NonZeroU64)> = Vec::new();
    for (period, count) in Period::ALL.into_iter().zip(counts) {
        let Some(count) = count else { continue };
        let wrong = |why: String| PlanError::at(count.at, why);
        let number = NonZeroU64::new(count.value)
            .ok_or_else(|| wrong("a limit of 0 would refuse everybody".to_owned()))?;
        if let Some((shorter, less)) = windows.last()
            && *less > number
        {
            return Err(wrong(format!(
                "`{}: {number}` makes `{}: {less}` pointless",
                period.as_str(),
                shorter.as_str()
            ))
            .remedy("A longer window must allow at least as much as a shorter one"));
        }
        windows.push((period, number));
    }
    if windows.is_empty() {
        return Err(PlanError::at(at, "a limit has no window")
            .remedy("Add one of second, minute, hour, day, month, year"));
    }
    Ok(Limit {
        by: match file.by {
            None | Some(ByFile::Consumer) => LimitBy::Consumer,
            Some(ByFile::Credential) => LimitBy::Credential,
            Some(ByFile::Address) => LimitBy::Address,
            Some(ByFile::Path) => LimitBy::EachPath,
            Some(ByFile::Everybody) => LimitBy::Everybody,
            Some(ByFile::Header(name)) => LimitBy::Header(parse(&name, environment, header_name)?),
        },
        windows,
        tells: !file.hide_headers,
        store: match file.store.map(|store| store.value) {
            None | Some(StoreFile::Local) => Store::Local,
            Some(StoreFile::Redis) => Store::Redis,
        },
        on_error: match file.on_error {
            None | Some(OnErrorFile::Allow) => OnError::Allow,
            Some(OnErrorFile::Refuse) => OnError::Refuse,
        },
        status: 429,
    })
}

fn cors(located: Located<CorsFile>, environment: Environment<'_>) -> Result<Cors, PlanError> {
    let Located { value: file, at } = located;
    let mut some = Vec::new();
    let mut any = false;
    for text in &file.origins {
        match parse(text, environment, Origin::parse)? {
            Some(origin) => some.push(origin),
            None => any = true,
        }
    }
    if any != some.is_empty() {
        return Err(PlanError::at(
            at,
            "`origins` must be a list of origins, or `*` alone",
        ));
    }
    if any && file.credentials {
        return Err(PlanError::at(
            at,
            "every origin, with credentials, is every page of the web",
        )
        .remedy("List the origins, or leave `credentials` out"));
    }
    let names = |texts: &[Text]| {
        texts
            .iter()
            .map(|text| parse(text, environment, token))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Cors {
        origins: if any {
            Origins::Any
        } else {
            Origins::Some(some)
        },
        methods: match &file.methods {
            Some(methods) => names(methods)?,
            None => METHODS.map(str::to_owned).to_vec(),
        },
        headers: file.headers.as_deref().map(names).transpose()?,
        exposed: names(&file.exposed)?,
        credentials: file.credentials,
        max_age: file
            .max_age
            .as_ref()
            .map(|text| time_or(Some(text), LEEWAY))
            .transpose()?,
    })
}

impl Origin {
    /// Parses an origin; `None` is `*`.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "*" {
            return Ok(None);
        }
        let wrong = || {
            format!("`{text}` is no origin: write https://example.org, https://*.example.org or *")
        };
        let text = text.to_ascii_lowercase();
        let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let named = |name: &str| !name.is_empty() && name.bytes().all(plain);
        if !named(scheme) {
            return Err(wrong());
        }
        if let Some(below) = host.strip_prefix("*.") {
            return if named(below) {
                Ok(Some(Self::Below {
                    scheme: format!("{scheme}://"),
                    suffix: format!(".{below}"),
                }))
            } else {
                Err(wrong())
            };
        }
        if named(host) {
            Ok(Some(Self::Exact(text)))
        } else {
            Err(wrong())
        }
    }
}

fn correlation(
    file: &CorrelationFile,
    environment: Environment<'_>,
) -> Result<Correlation, PlanError> {
    Ok(Correlation {
        header: parse(&file.header, environment, header_name)?,
        generator: match file.generator {
            None | Some(GeneratorFile::Uuid) => Generator::Uuid,
            Some(GeneratorFile::UuidCounter) => Generator::UuidCounter,
        },
        echo: file.echo,
    })
}
