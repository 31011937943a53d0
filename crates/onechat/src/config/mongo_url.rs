//! A connection string of MongoDB, which holds a password more often than not: it cannot be shown by accident.

use std::fmt;

use anyhow::{Context as _, bail};

/// A connection string. Shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MongoUrl(String);

const HIDDEN: &str = "****";
/// Options of a connection string whose values are, or may hold, secrets; in lower case.
const SECRET_OPTIONS: &[&str] =
    &["tlscertificatekeyfilepassword", "authmechanismproperties", "proxypassword"];
/// What MongoDB takes as the name of a database.
const MAX_DATABASE_BYTES: usize = 63;

impl MongoUrl {
    /// Takes the text as it is: whether it is right, the driver says.
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The connection string with its secrets, for the driver.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The same deployment, signed in to in the same way, and the database with `suffix` after its name.
    pub(crate) fn with_database_suffix(&self, suffix: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = self.0.split_once("://").context("this is no connection string")?;
        let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
        let Some((hosts, database)) = address.split_once('/').filter(|(_, database)| !database.is_empty())
        else {
            bail!("{self} names no database: add it as the path, for example mongodb://HOST/chats");
        };
        if database.len() + suffix.len() > MAX_DATABASE_BYTES {
            bail!("the name {database}{suffix} is too long for a database");
        }
        let mut options = options.to_owned();
        if hosts.contains('@') && scheme == "mongodb" && signs_in_to_its_database(&options) {
            let and = if options.is_empty() { "" } else { "&" };
            options = format!("{options}{and}authSource={database}");
        }
        let options = if options.is_empty() { options } else { format!("?{options}") };
        Ok(Self(format!("{scheme}://{hosts}/{database}{suffix}{options}")))
    }
}

/// Whether the database in the path is also the one that knows the user, because nothing else is said.
fn signs_in_to_its_database(options: &str) -> bool {
    option_pairs(options).all(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "authsource" => false,
        "authmechanism" => value.starts_with("SCRAM-"),
        _ => true,
    })
}

fn option_pairs(options: &str) -> impl Iterator<Item = (&str, &str)> {
    options.split(['&', ';']).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The text of a URL without its secrets, whether it is well formed or not: rather too much is hidden than too
/// little, since a password in which `@`, `/` or `?` was not encoded is still a password.
pub(crate) fn redact(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(begin);
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let user = match user.map(|user| user.split_once(':').ok_or(user)) {
        None => String::new(),
        Some(Ok((name, _))) => format!("{name}:{HIDDEN}@"),
        Some(Err(name)) => format!("{name}@"),
    };
    let Some((address, options)) = rest.split_once('?') else { return format!("{scheme}{user}{rest}") };
    let options: Vec<String> = option_pairs(options).map(redact_option).collect();
    format!("{scheme}{user}{address}?{}", options.join("&"))
}

fn redact_option((name, value): (&str, &str)) -> String {
    let is_secret = SECRET_OPTIONS.contains(&name.to_ascii_lowercase().as_str());
    match (is_secret, value) {
        (_, "") => name.to_owned(),
        (true, _) => format!("{name}={HIDDEN}"),
        (false, value) => format!("{name}={value}"),
    }
}

impl fmt::Display for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.0))
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", redact(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        let cases = [
            (
                "mongodb://ann:hidden@h1,h2:27018/chats?w=majority",
                "mongodb://ann:****@h1,h2:27018/chats?w=majority",
            ),
            ("mongodb+srv://ann:hidden@c0.example.net/chats", "mongodb+srv://ann:****@c0.example.net/chats"),
            ("mongodb://ann%40x:hid%3Aden%40@h/chats", "mongodb://ann%40x:****@h/chats"),
            ("mongodb://ann:hid:den@h/chats", "mongodb://ann:****@h/chats"),
            ("mongodb://ann:@h/chats", "mongodb://ann:****@h/chats"),
            ("mongodb://ann@h/chats", "mongodb://ann@h/chats"),
            ("mongodb://h:27017/chats", "mongodb://h:27017/chats"),
            ("mongodb://h", "mongodb://h"),
        ];
        for (url, shown) in cases {
            assert_eq!(redact(url), shown);
            let url = MongoUrl::new(url);
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), format!("{shown:?}")));
        }
    }

    #[test]
    fn passwords_that_were_not_encoded_and_secrets_elsewhere_are_hidden() {
        for url in [
            "mongodb://ann:hid@den@h/chats",
            "mongodb://ann:hid/den@h/chats",
            "mongodb://ann:hid?den@h/chats",
            "mongodb:/ann:hidden@h/chats",
            "ann:hidden@h/chats",
            "mongodb://h/chats?tls=true&tlsCertificateKeyFilePassword=hidden",
            "mongodb://h/chats?AUTHMECHANISMPROPERTIES=AWS_SESSION_TOKEN:hidden;proxyPassword=hidden",
        ] {
            let shown = redact(url);
            assert!(!shown.contains("hid") && !shown.contains("den"), "{shown}");
            assert!(shown.contains(HIDDEN), "{shown}");
        }
    }

    #[test]
    fn another_database_is_signed_in_to_as_the_first_one() {
        let cases = [
            ("mongodb://h/chats", "mongodb://h/chats-x"),
            ("mongodb://h1,h2/chats?w=1", "mongodb://h1,h2/chats-x?w=1"),
            ("mongodb://u:p@h/chats", "mongodb://u:p@h/chats-x?authSource=chats"),
            ("mongodb://u:p@h/chats?tls=true", "mongodb://u:p@h/chats-x?tls=true&authSource=chats"),
            ("mongodb://u:p@h/chats?authsource=admin", "mongodb://u:p@h/chats-x?authsource=admin"),
            (
                "mongodb://u@h/chats?authMechanism=MONGODB-X509",
                "mongodb://u@h/chats-x?authMechanism=MONGODB-X509",
            ),
            ("mongodb+srv://u:p@h/chats", "mongodb+srv://u:p@h/chats-x"),
        ];
        for (url, other) in cases {
            assert_eq!(MongoUrl::new(url).with_database_suffix("-x").unwrap().expose(), other);
        }
        for url in ["mongodb://u:hidden@h", "mongodb://u:hidden@h/", "mongodb://u:hidden@h/?w=1"] {
            let error = MongoUrl::new(url).with_database_suffix("-x").unwrap_err().to_string();
            assert!(error.contains("names no database") && !error.contains("hidden"), "{error}");
        }
        let long = MongoUrl::new(format!("mongodb://h/{}", "x".repeat(63)));
        assert!(long.with_database_suffix("-x").is_err());
    }
}
