//! Tokens that are signed with a private key, of which the service knows the public half only.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onechat_api::{Authenticator, KeyError, PublicKeyAlgorithm};

use crate::support::{Answer, Service, Setup, tokens};

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../keys/", $name))
    };
}

const JWKS: &[u8] = key!("jwks.json");

fn rs256() -> EncodingKey {
    EncodingKey::from_rsa_pem(key!("rs256.private.pem")).unwrap()
}

fn es256() -> EncodingKey {
    EncodingKey::from_ec_pem(key!("es256.private.pem")).unwrap()
}

fn eddsa() -> EncodingKey {
    EncodingKey::from_ed_pem(key!("eddsa.private.pem")).unwrap()
}

fn eddsa_2() -> EncodingKey {
    EncodingKey::from_ed_pem(key!("eddsa-2.private.pem")).unwrap()
}

async fn service(authenticator: Result<Authenticator, KeyError>) -> Service {
    Setup { authenticator: authenticator.unwrap(), ..Setup::default() }.start().await
}

async fn call(service: &Service, algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> Answer {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    let token = tokens::signed(&header, &tokens::claims_of("alice"), key);
    service.get("/api/chats").token(&token).send().await
}

#[tokio::test]
async fn each_algorithm_is_understood_and_no_other() {
    use PublicKeyAlgorithm::{EdDsa, Es256, Rs256};
    let keys = [
        (Rs256, Algorithm::RS256, &key!("rs256.public.pem")[..], rs256()),
        (Es256, Algorithm::ES256, &key!("es256.public.pem")[..], es256()),
        (EdDsa, Algorithm::EdDSA, &key!("eddsa.public.pem")[..], eddsa()),
    ];
    for (configured, _, pem, _) in &keys {
        let service = service(Authenticator::public_key_pem(pem, *configured)).await;
        for (other, algorithm, _, key) in &keys {
            // With one key, a kid is of no interest.
            let answer = call(&service, *algorithm, Some("whatever"), key).await;
            if configured == other {
                answer.ok(200);
            } else {
                answer.refused(401, "unauthorized");
            }
        }
        // The public key is public: signed with it as if it were a secret, a token proves nothing.
        let forged = call(&service, Algorithm::HS256, None, &EncodingKey::from_secret(pem)).await;
        forged.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_key_set_is_asked_by_kid() {
    let service = service(Authenticator::jwks(JWKS, PublicKeyAlgorithm::EdDsa)).await;
    call(&service, Algorithm::EdDSA, Some("ed-1"), &eddsa()).await.ok(200);
    call(&service, Algorithm::EdDSA, Some("ed-2"), &eddsa_2()).await.ok(200);
    let crossed = call(&service, Algorithm::EdDSA, Some("ed-1"), &eddsa_2()).await;
    assert!(crossed.refused(401, "unauthorized").contains("signature"));
    for kid in [None, Some("ed-3"), Some("rsa-1")] {
        let detail = call(&service, Algorithm::EdDSA, kid, &eddsa()).await.refused(401, "unauthorized");
        assert!(detail.contains("kid"), "{detail}");
    }
    call(&service, Algorithm::RS256, Some("rsa-1"), &rs256()).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn with_one_fitting_key_no_kid_is_needed() {
    for (algorithm, configured, kid, key) in [
        (Algorithm::RS256, PublicKeyAlgorithm::Rs256, "rsa-1", rs256()),
        (Algorithm::ES256, PublicKeyAlgorithm::Es256, "ec-1", es256()),
    ] {
        let service = service(Authenticator::jwks(JWKS, configured)).await;
        call(&service, algorithm, None, &key).await.ok(200);
        call(&service, algorithm, Some(kid), &key).await.ok(200);
        call(&service, algorithm, Some("rsa-for-encryption"), &key).await.refused(401, "unauthorized");
    }
}

#[test]
fn keys_that_cannot_work_are_refused_at_once() {
    use PublicKeyAlgorithm::{EdDsa, Es256, Rs256};
    let pem = |pem, algorithm| Authenticator::public_key_pem(pem, algorithm).err();
    assert_eq!(pem(b"no key", Rs256), Some(KeyError::Pem { algorithm: Rs256 }));
    assert_eq!(pem(key!("rs256.public.pem"), Es256), Some(KeyError::Pem { algorithm: Es256 }));
    assert_eq!(pem(key!("es256.public.pem"), EdDsa), Some(KeyError::Pem { algorithm: EdDsa }));
    assert_eq!(pem(key!("eddsa.public.pem"), Rs256), Some(KeyError::Pem { algorithm: Rs256 }));

    let jwks = |text: &str| Authenticator::jwks(text.as_bytes(), EdDsa).err();
    assert!(matches!(jwks("[]"), Some(KeyError::Jwks { .. })));
    assert_eq!(jwks(r#"{"keys":[]}"#), Some(KeyError::NoFittingKey { algorithm: EdDsa }));
    let secret = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
    assert_eq!(jwks(secret), Some(KeyError::NoFittingKey { algorithm: EdDsa }));
    let malformed = r#"{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#;
    assert!(matches!(jwks(malformed), Some(KeyError::Jwks { .. })));
    let text = std::str::from_utf8(JWKS).unwrap().replace("ed-2", "ed-1");
    assert_eq!(jwks(&text), Some(KeyError::RepeatedKid { kid: "ed-1".to_owned() }));
}

/// The same for RSA as for secrets: what can be guessed or factored proves nothing.
#[test]
fn short_rsa_keys_are_refused_wherever_they_come_from() {
    use PublicKeyAlgorithm::Rs256;
    let error = Authenticator::public_key_pem(key!("rsa-1024.public.pem"), Rs256).err().unwrap();
    assert_eq!(error, KeyError::ShortRsaKey { kid: None, bits: 1024 });
    assert!(error.to_string().contains("openssl genpkey"), "{error}");
    // 24 bits, also behind leading zeros that make it look long.
    for n in ["AQAB".to_owned(), format!("{}AQAB", "A".repeat(400))] {
        let jwks = format!(r#"{{"keys":[{{"kid":"a","kty":"RSA","n":"{n}","e":"AQAB"}}]}}"#);
        let error = Authenticator::jwks(jwks.as_bytes(), Rs256).err().unwrap();
        assert_eq!(error, KeyError::ShortRsaKey { kid: Some("a".to_owned()), bits: 17 });
    }
}

#[test]
fn algorithms_go_by_their_names_in_tokens() {
    for name in ["RS256", "ES256", "EdDSA"] {
        assert_eq!(name.parse::<PublicKeyAlgorithm>().unwrap().to_string(), name);
    }
    for name in ["HS256", "none", "rs256"] {
        assert!(name.parse::<PublicKeyAlgorithm>().is_err());
    }
}

#[test]
fn a_private_key_is_refused_whatever_its_kind() {
    for (pem, algorithm) in [
        (key!("rs256.private.pem").as_slice(), PublicKeyAlgorithm::Rs256),
        (key!("es256.private.pem"), PublicKeyAlgorithm::Es256),
        (key!("eddsa.private.pem"), PublicKeyAlgorithm::EdDsa),
    ] {
        let error = Authenticator::public_key_pem(pem, algorithm).err().expect("a private key was taken");
        assert!(error.to_string().contains("-pubout"), "{algorithm}: {error}");
    }
}
