//! One request, read whole and taken apart.

use std::net::SocketAddr;

use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Uri};

/// A request with its body.
pub struct Request {
    /// `GET`, `PUT`, `POST`, `DELETE`.
    pub method: Method,
    /// Path and query as sent.
    pub target: String,
    /// Parts of the path between slashes, decoded; a slash at the end adds none.
    pub path: Vec<String>,
    /// Queries in their order, decoded.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// The other end.
    pub peer: SocketAddr,
    /// How links to this server begin: `https://host:port`.
    pub base: String,
}

/// Undoes percent encoding; bytes that are no UTF-8 become replacement characters. `+` stays.
fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let digits = bytes.get(index + 1..index + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| bytes[index] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Parts of a path, decoded one by one so that an encoded slash separates nothing.
pub fn path_of(uri: &Uri) -> Vec<String> {
    uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect()
}

/// Queries of a target.
pub fn query_of(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Whether a Host header may stand in links: a name or address with a port, nothing else.
pub fn is_host(host: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
}

impl Request {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The values of a query.
    pub fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A cookie of that name.
    pub fn cookie<'a>(&'a self, name: &str) -> Option<&'a str> {
        let lines = self.headers.get_all("cookie").into_iter().filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        let uri: Uri = "/rest/api/uom/ManagedSystem/search/(SystemName=='a%2Fb%20c')?group=None,VNIC&x"
            .parse()
            .expect("uri");
        assert_eq!(path_of(&uri), ["rest", "api", "uom", "ManagedSystem", "search", "(SystemName=='a/b c')"]);
        assert_eq!(
            query_of(&uri),
            [("group".to_owned(), "None,VNIC".to_owned()), ("x".to_owned(), String::new())]
        );
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%41"), "%zzA");
        assert_eq!(path_of(&"/rest//api/".parse().expect("uri")), ["rest", "api"]);
    }

    #[test]
    fn only_hosts_stand_in_links() {
        for host in ["myhmc", "127.0.0.1:12443", "[::1]:12443"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["", "a b", "a\"onload=", "a/b", &"x".repeat(300)] {
            assert!(!is_host(host), "{host}");
        }
    }
}
