//! Refuses what a browser was tricked into sending, and changes by strangers, before any handler sees them.
//!
//! Owns the rules against DNS rebinding (on TCP the Host must be one of a closed list), cross-site requests (a POST
//! with a foreign Origin or Sec-Fetch-Site, or of a content type that a form can send) and strangers (a POST over TCP
//! needs the token). Pure over the request's head. Called by the router's outermost layer.

use super::token::Token;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use std::net::SocketAddr;

/// Why a request is refused; the text labels a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The Host header names somebody else.
    Host,
    /// A page of another site asks for a change.
    CrossSite,
    /// A change in a form that a page of another site could have sent.
    ContentType,
    /// A change over TCP without the token.
    Token,
    /// A change over TCP where there is no token to name.
    ReadOnly,
}

impl Refusal {
    /// The label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Host => "host",
            Refusal::CrossSite => "cross_site",
            Refusal::ContentType => "content_type",
            Refusal::Token => "token",
            Refusal::ReadOnly => "read_only",
        }
    }

    /// The answer.
    pub(super) fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Host => (StatusCode::MISDIRECTED_REQUEST, "this server does not go by that name"),
            Refusal::CrossSite => {
                (StatusCode::FORBIDDEN, "this request did not come from this server's own pages")
            }
            Refusal::ContentType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "a POST must say `content-type: application/json`")
            }
            Refusal::Token => {
                (StatusCode::UNAUTHORIZED, "a POST over TCP must name the token: `authorization: Bearer ...`")
            }
            Refusal::ReadOnly => (
                StatusCode::FORBIDDEN,
                "this address is for reading: set `admin.token_file`, or use the unix socket",
            ),
        }
    }
}

/// The rules of one socket.
#[derive(Debug)]
pub(super) enum Door {
    /// The unix socket: guarded by its mode, and no browser comes there.
    Unix,
    /// TCP, where any local program and any page in a browser may knock.
    Tcp {
        /// What Host may be, in lower case.
        hosts: Vec<String>,
        /// What a change must name.
        token: Option<Token>,
    },
}

impl Door {
    /// The door of a TCP address: its own name, loopback's names with its port, and those of the configuration.
    pub(super) fn tcp(address: SocketAddr, named: &[String], token: Option<Token>) -> Door {
        let port = address.port();
        let mut hosts: Vec<String> =
            ["localhost", "127.0.0.1", "[::1]"].iter().map(|name| format!("{name}:{port}")).collect();
        if !address.ip().is_unspecified() {
            hosts.push(address.to_string());
        }
        hosts.extend(named.iter().map(|name| name.to_ascii_lowercase()));
        Door::Tcp { hosts, token }
    }

    /// Whether a request with this head may go on.
    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Door::Tcp { hosts, .. } = self {
            let known = |host: &str| hosts.contains(&host.to_ascii_lowercase());
            let mut named = headers.get_all(header::HOST).iter();
            let host = named.next().and_then(|host| host.to_str().ok());
            // A request that names two servers, or another in its target, is meant to be read in two ways.
            let target = uri.authority().is_none_or(|authority| known(authority.as_str()));
            if named.next().is_some() || !host.is_some_and(known) || !target {
                return Err(Refusal::Host);
            }
        }
        if method.is_safe() {
            return Ok(());
        }
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        if !matches!(site, None | Some(b"same-origin" | b"none")) || !self.is_own_origin(headers) {
            return Err(Refusal::CrossSite);
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::ContentType);
        }
        let Door::Tcp { token, .. } = self else { return Ok(()) };
        let Some(token) = token else { return Err(Refusal::ReadOnly) };
        let named = headers.get(header::AUTHORIZATION);
        if named.is_some_and(|named| token.is_named_by(named.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::Token)
        }
    }

    /// Whether the request comes from no page, or from one that this server sent itself.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        // Nothing that is read over the unix socket is a page.
        let Door::Tcp { hosts, .. } = self else { return false };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| hosts.iter().any(|host| host == authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header value"));
        }
        headers
    }

    fn door() -> Door {
        let address = "10.1.2.3:9464".parse().expect("an address");
        Door::tcp(address, &["Triaged.example".to_owned()], Some(Token::of(b"0123456789abcdef")))
    }

    fn check(method: Method, target: &str, pairs: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        door().check(&method, &target.parse().expect("a target"), &head(pairs))
    }

    #[test]
    fn a_name_that_a_stranger_points_at_this_machine_is_refused() {
        for host in [
            "evil.example",
            "localhost.evil.example:9464",
            "127.0.0.1.evil.example:9464",
            "localhost:x",
            "",
            "localhost",
            "localhost:9465",
            "127.0.0.1",
            "0.0.0.0:9464",
            "user@localhost:9464",
        ] {
            assert_eq!(check(Method::GET, "/livez", &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        for host in [
            "localhost:9464",
            "LOCALHOST:9464",
            "127.0.0.1:9464",
            "[::1]:9464",
            "10.1.2.3:9464",
            "triaged.example",
        ] {
            assert_eq!(check(Method::GET, "/livez", &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(check(Method::GET, "/livez", &[]), Err(Refusal::Host));
        let twice = [("host", "localhost:9464"), ("host", "evil.example")];
        assert_eq!(check(Method::GET, "/livez", &twice), Err(Refusal::Host));
        let own = [("host", "localhost:9464")];
        assert_eq!(check(Method::GET, "http://evil.example/livez", &own), Err(Refusal::Host));
        assert_eq!(check(Method::GET, "http://localhost:9464/livez", &own), Ok(()));
        assert_eq!(Door::Unix.check(&Method::GET, &Uri::from_static("/livez"), &HeaderMap::new()), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_cannot_drain_the_daemon() {
        let json = ("content-type", "application/json; charset=utf-8");
        let token = ("authorization", "Bearer 0123456789abcdef");
        let host = ("host", "localhost:9464");
        let post = |more: &[(&'static str, &'static str)]| {
            check(Method::POST, "/v1/drain", &[&[host, json, token], more].concat())
        };
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:9464"), ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[("origin", "https://triaged.example")]), Ok(()));
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:9465"),
            ("origin", "file://localhost:9464"),
        ] {
            assert_eq!(post(&[foreign]), Err(Refusal::CrossSite), "{foreign:?}");
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
        {
            let form = [host, token, ("content-type", kind)];
            assert_eq!(check(Method::POST, "/v1/drain", &form), Err(Refusal::ContentType), "{kind}");
        }
        let unix = |pairs: &[(&'static str, &'static str)]| {
            Door::Unix.check(&Method::POST, &Uri::from_static("/v1/drain"), &head(pairs))
        };
        assert_eq!(unix(&[json]), Ok(()), "the socket's mode stands for the token");
        assert_eq!(unix(&[json, ("origin", "http://localhost")]), Err(Refusal::CrossSite));
        assert_eq!(unix(&[]), Err(Refusal::ContentType));
    }

    #[test]
    fn a_change_over_tcp_needs_the_token_and_reading_does_not() {
        let json = ("content-type", "application/json");
        let host = ("host", "localhost:9464");
        assert_eq!(check(Method::POST, "/v1/drain", &[host, json]), Err(Refusal::Token));
        let wrong = ("authorization", "Bearer 0123456789abcdeF");
        assert_eq!(check(Method::POST, "/v1/drain", &[host, json, wrong]), Err(Refusal::Token));
        assert_eq!(check(Method::GET, "/metrics", &[host]), Ok(()));
        let open = Door::tcp("127.0.0.1:9464".parse().expect("an address"), &[], None);
        let asked = open.check(&Method::POST, &Uri::from_static("/v1/drain"), &head(&[host, json]));
        assert_eq!(asked, Err(Refusal::ReadOnly), "without a token nothing can be changed over TCP");
    }
}
