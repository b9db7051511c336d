//! The readers of a request on bytes that nobody wrote for them, for the fuzzer and for the corpus that tests replay.
//!
//! ```text
//! METHOD target          first line
//! Name: value            headers
//!                        an empty line
//! body
//! ```

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};

use crate::collection::Collection;
use crate::failure::{self, Failure};
use crate::logon;
use crate::query::Groups;
use crate::reply::{Body, Reply};
use crate::request::{Request, is_host, path_of, query_of};
use crate::router::atom_type;
use crate::search::Search;
use crate::xml::SchemaVersion;

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

/// What hyper would make of the bytes; `None` where it would refuse them.
fn request_of(data: &[u8]) -> Option<Request> {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&first[..space]).ok()?;
    let uri = Uri::try_from(&first[space + 1..]).ok()?;
    let mut rest = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.trim_ascii().is_empty() {
            break;
        }
        if let Some((name, value)) = header(line) {
            headers.append(name, value);
        }
    }
    Some(Request {
        method,
        target: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        path: path_of(&uri),
        query: query_of(&uri),
        headers,
        body: Bytes::copy_from_slice(rest),
        peer: ([127, 0, 0, 1], 1).into(),
        base: "https://localhost".to_owned(),
    })
}

/// Whatever is wrong with a request, the answer is a document that can be read and says the same status.
fn check_failure(failure: &Failure, request: &Request) {
    let reply: Reply = failure::reply(failure, request, SchemaVersion(1, 5, 0), 0, "XT1");
    assert_eq!(reply.status, failure.status);
    let Body::Whole(body) = reply.body else { panic!("no document") };
    let text = std::str::from_utf8(&body).expect("UTF-8");
    let document = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let status = document.descendants().find(|node| node.tag_name().name() == "HTTPStatus");
    assert_eq!(status.and_then(|node| node.text()), Some(failure.status.to_string().as_str()));
}

fn check_path(request: &Request) {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    // A byte that is no UTF-8 becomes a character of three.
    assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= 3 * request.target.len());
    let ["rest", "api", "uom", rest @ ..] = &parts[..] else { return };
    match Collection::parse(rest) {
        Ok((collection, after)) => {
            let taken = &rest[..rest.len() - after.len()];
            assert_eq!(collection.path(), taken.join("/"));
            assert_eq!(Collection::parse(taken).ok().map(|(again, _)| again), Some(collection));
        }
        Err(failure) => check_failure(&failure, request),
    }
    for part in rest {
        if let Err(failure) = Search::parse(part) {
            check_failure(&failure, request);
        }
    }
}

/// Takes one input.
///
/// # Panics
/// When a reader breaks a promise.
pub fn fuzz_one(data: &[u8]) {
    let Some(request) = request_of(data) else {
        let _ = logon::parse(data);
        return;
    };
    check_path(&request);
    let groups = Groups::parse(request.queries("group"));
    assert!(groups.is_ok() || request.query.iter().any(|(name, _)| name == "group"));
    for name in ["JSESSIONID", "CCFWSESSION"] {
        assert!(request.cookie(name).is_none_or(|value| !value.contains(';')));
    }
    if let Some(host) = request.header("host") {
        assert!(!is_host(host) || !host.contains(['"', '<', '/', ' ']));
    }
    if let Err(failure) = atom_type(&request) {
        check_failure(&failure, &request);
    }
    match logon::parse(&request.body) {
        Ok(asked) => assert!(!asked.user.trim().is_empty()),
        Err(failure) => {
            assert_eq!(failure.status, 400);
            check_failure(&failure, &request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<Vec<u8>> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/rest-corpus");
        let entries = std::fs::read_dir(directory).expect("corpus");
        entries.map(|entry| std::fs::read(entry.expect("entry").path()).expect("input")).collect()
    }

    #[test]
    fn the_fuzzers_corpus_replays() {
        let inputs = corpus();
        assert!(inputs.len() > 20);
        inputs.iter().for_each(|input| fuzz_one(input));
    }

    #[test]
    fn damaged_requests_are_read_or_refused() {
        for input in corpus() {
            for at in 0..input.len().min(600) {
                for byte in [b'%', b'<', b'&', b'/', b'\n', 0, 0xff] {
                    let mut damaged = input.clone();
                    damaged[at] = byte;
                    fuzz_one(&damaged);
                }
                fuzz_one(&input[..at]);
            }
        }
    }

    #[test]
    fn nothing_secret_is_in_an_error_document() {
        let input = b"GET /rest/api/uom/Job\nX-API-Session: top-secret\nx-api-key: top-secret\nCookie: JSESSIONID=top-secret\nAuthorization: Basic top-secret\n\n<LogonRequest><UserID/><Password>top-secret</Password></LogonRequest>";
        let request = request_of(input).expect("a request");
        let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
        for failure in [Collection::parse(&parts[3..]).err(), logon::parse(&request.body).err()] {
            let reply =
                failure::reply(&failure.expect("refused"), &request, SchemaVersion(1, 5, 0), 0, "XT1");
            let Body::Whole(body) = reply.body else { panic!("no document") };
            assert!(!String::from_utf8_lossy(&body).contains("top-secret"));
        }
    }
}
