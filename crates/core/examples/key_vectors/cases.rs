//! The participants that the vectors are about: each one is here because some implementation could get it wrong.

/// Ids that are hard to escape, to order or to tell apart. Every one, and every pair, is a vector.
const HARD: &[&str] = &[
    "alice",
    "Alice",
    "10",
    "9",
    "_",
    "__",
    "a_",
    "_b",
    "a_b",
    "%",
    "%25",
    "%5F",
    "%5f",
    "%255F",
    "%sha256:",
    // é, precomposed and not: neither is normalised.
    "\u{e9}",
    "e\u{301}",
    // These four order differently by UTF-8 bytes and by UTF-16 code units.
    "\u{e000}",
    "\u{fffd}",
    "\u{1f600}",
    "\u{10ffff}",
    "x\u{fffd}",
    "x\u{1f600}",
    // Not control characters, though they look like nothing.
    "\u{ad}",
    "\u{200b}",
    "\u{2028}",
    "\u{feff}",
    "\"\\",
    "507f1f77bcf86cd799439011",
    "__proto__",
];

/// Participants that make a set, as a caller gives them: in any order, with repeats.
pub(crate) fn valid() -> Vec<Vec<String>> {
    let mut cases: Vec<Vec<String>> = HARD.iter().map(|one| list(&[one])).collect();
    for (index, first) in HARD.iter().enumerate() {
        cases.extend(HARD[..index].iter().map(|second| list(&[first, second])));
    }
    cases.extend([
        list(&["a_b", "c"]),
        list(&["a", "b_c"]),
        list(&["c", "b", "a"]),
        list(&["a", "b", "a"]),
        list(&["b", "a", "b", "b"]),
        list(&["carol", "bob", "alice", "bob"]),
        list(&["a", "A", "\u{e4}", "\u{c4}", "Z", "z", "1", "10", "2"]),
        list(&["\u{1f600}", "\u{fffd}", "\u{10ffff}", "\u{e000}", "\u{d7ff}", "\u{ffff}"]),
        list(&["\u{130}", "i", "I", "\u{131}"]),
        list(&["\u{df}", "ss", "SS", "\u{1e9e}"]),
    ]);
    cases.extend(long());
    cases.extend(imitations());
    cases.extend(imitations_of_contexts());
    cases
}

/// Keys around the length at which the hash begins. It is counted in bytes of UTF-8, after escaping.
fn long() -> Vec<Vec<String>> {
    let largest = "b".repeat(256);
    vec![
        vec![largest.clone()],
        vec!["a".repeat(255), largest.clone()],
        vec!["a".repeat(256), largest.clone()],
        // 510 bytes joined and 512 escaped, then 511 and 513.
        vec![format!("_{}", "a".repeat(252)), largest.clone()],
        vec![format!("_{}", "a".repeat(253)), largest.clone()],
        vec!["_".repeat(170)],
        vec!["_".repeat(171)],
        vec!["%".repeat(256)],
        // 257 characters but 513 bytes; 129 characters, 257 UTF-16 code units and 513 bytes.
        vec!["\u{e9}".repeat(128), "\u{e8}".repeat(128)],
        vec!["\u{1f600}".repeat(64), "\u{1f601}".repeat(64)],
        (0..256).map(|n| n.to_string()).collect(),
        (0..256).rev().map(|n| format!("user_{n:03}")).collect(),
        (0..256).map(|_| "alone".to_owned()).collect(),
        // 300 texts, 256 members.
        (0..300).map(|n| (n % 256).to_string()).collect(),
    ]
}

/// Participants that are written like the key of another set.
fn imitations() -> Vec<Vec<String>> {
    let digest = "0".repeat(64);
    vec![
        vec![format!("%sha256:{digest}")],
        vec![format!("sha256:{digest}")],
        vec![format!("%25sha256:{digest}"), "a".to_owned()],
        list(&["a%5Fb", "c"]),
        list(&["a%5Fb%5Fc"]),
        list(&["a_b_c"]),
    ]
}

/// Participants that are written like the key of a chat with a context.
fn imitations_of_contexts() -> Vec<Vec<String>> {
    vec![
        list(&["%in:x", "a", "b"]),
        list(&["%in:x_a_b"]),
        list(&["%in:x_a", "b"]),
        list(&["%in:", "a"]),
        list(&["%25in:x", "a", "b"]),
        list(&["in:x", "a", "b"]),
    ]
}

/// Contexts with participants: each hard text is a context once, and some are in each other's way.
pub(crate) fn with_context() -> Vec<(String, Vec<String>)> {
    let mut cases: Vec<(String, Vec<String>)> =
        HARD.iter().map(|&context| (context.to_owned(), list(&["a", "b"]))).collect();
    let case = |context: &str, texts: &[&str]| (context.to_owned(), list(texts));
    cases.extend([
        case("x", &["b", "a", "b"]),
        case("x", &["a"]),
        case("listing:42", &["alice", "bob"]),
        case("alice", &["alice", "bob"]),
        // These have the same key in the joined format, some with a set that is below.
        case("x_a", &["b"]),
        case("x_a_b", &["c"]),
        case("x", &["a_b", "c"]),
        case("x", &["a", "b", "c"]),
        case("%in:x", &["a", "b"]),
        case("%in:", &["a", "b"]),
        case("%in:x_a", &["b"]),
        case("x", &["%in:y", "a"]),
        case("in:x", &["a", "b"]),
        case("%25in:x", &["a", "b"]),
        case("\u{1f600}", &["\u{1f600}", "\u{fffd}"]),
    ]);
    let largest = "b".repeat(256);
    // 512 bytes, then 513: the whole key is counted.
    cases.push(("c".repeat(251), vec![largest.clone()]));
    cases.push(("c".repeat(252), vec![largest.clone()]));
    cases.push(("c".repeat(256), vec![largest.clone()]));
    cases.push(("_".repeat(84), vec![largest.clone()]));
    cases.push((format!("_{}", "c".repeat(248)), vec![largest.clone()]));
    cases.push(("\u{1f600}".repeat(64), vec![largest.clone()]));
    cases.push(("x".to_owned(), vec!["a".repeat(255), largest.clone()]));
    cases.push(("y".to_owned(), vec!["a".repeat(255), largest]));
    cases.push(("x".to_owned(), (0..256).map(|n| n.to_string()).collect()));
    cases
}

/// Texts that are no context.
pub(crate) fn invalid_contexts() -> Vec<String> {
    let mut cases = vec![String::new(), "a".repeat(257), "\u{e9}".repeat(129)];
    cases.extend(['\0', '\n', '\u{7f}', '\u{9f}'].iter().map(|control| format!("listing{control}42")));
    cases
}

/// Participants that make no set.
pub(crate) fn invalid() -> Vec<Vec<String>> {
    let mut cases = vec![
        vec![],
        list(&[""]),
        list(&["alice", ""]),
        vec!["a".repeat(257)],
        vec!["bob".to_owned(), "\u{e9}".repeat(129)],
        vec!["\u{1f600}".repeat(65)],
        (0..257).map(|n| n.to_string()).collect(),
    ];
    let controls = ['\0', '\t', '\n', '\r', '\u{1b}', '\u{1f}', '\u{7f}', '\u{80}', '\u{85}', '\u{9f}'];
    cases.extend(controls.iter().map(|control| vec![format!("alice{control}bob")]));
    cases
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
