//! Refuses what a browser was tricked into sending, before any handler sees it.
//!
//! Owns the rules against DNS rebinding (the Host must be loopback on TCP) and cross-site requests (a POST with a
//! foreign Origin or Sec-Fetch-Site). Pure over the request's head. Called by the router's outermost layer.

use axum::http::{HeaderMap, Method, header};

/// Why a request is refused; the text labels a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The Host header does not name loopback.
    Host,
    /// A page of another site asks for a change.
    CrossSite,
}

impl Refusal {
    /// The label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Host => "host",
            Refusal::CrossSite => "cross_site",
        }
    }
}

/// Whether a request with this head may go on. `tcp` is false on the unix socket, where no browser comes.
pub(super) fn check(tcp: bool, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if tcp && !headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback) {
        return Err(Refusal::Host);
    }
    if method.is_safe() {
        return Ok(());
    }
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(Refusal::CrossSite);
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    if authority.is_some_and(is_loopback) { Ok(()) } else { Err(Refusal::CrossSite) }
}

/// Whether `authority` is a loopback name, with or without a port.
fn is_loopback(authority: &str) -> bool {
    let port_ok = |rest: &str| {
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| authority.strip_prefix(name).is_some_and(port_ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_name_that_a_stranger_points_at_loopback_is_refused() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:x", ""]
        {
            let headers = head(&[("host", host)]);
            assert_eq!(check(true, &Method::GET, &headers), Err(Refusal::Host), "{host}");
        }
        for host in ["localhost", "localhost:9464", "127.0.0.1:9464", "[::1]:9464"] {
            assert_eq!(check(true, &Method::GET, &head(&[("host", host)])), Ok(()), "{host}");
        }
        assert_eq!(check(true, &Method::GET, &HeaderMap::new()), Err(Refusal::Host));
        assert_eq!(check(false, &Method::GET, &HeaderMap::new()), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_cannot_drain_the_daemon() {
        let from_a_page = head(&[("host", "localhost:1"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(check(true, &Method::POST, &from_a_page), Err(Refusal::CrossSite));
        let old_browser = head(&[("host", "localhost:1"), ("origin", "https://evil.example")]);
        assert_eq!(check(true, &Method::POST, &old_browser), Err(Refusal::CrossSite));
        let own_page = head(&[
            ("host", "localhost:1"),
            ("origin", "http://localhost:1"),
            ("sec-fetch-site", "same-origin"),
        ]);
        assert_eq!(check(true, &Method::POST, &own_page), Ok(()));
        assert_eq!(check(true, &Method::POST, &head(&[("host", "localhost:1")])), Ok(()));
    }
}
