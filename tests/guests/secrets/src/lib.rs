//! Uses secrets in each way there is, and tries to learn them.

use berth_plugin::secrets::{self, Iv, KeyForm, Padding, Recipe, Secret};
use berth_plugin::{Error, Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Secrets;

impl Tool for Secrets {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        let tools = [
            ("open", "Opens `name` and says its name."),
            ("hmac", "HMAC-SHA-256 of `data` with `name`, in hex."),
            ("sign", "The ed25519 signature of `data` with `name`, in hex."),
            ("joined", "SHA-256 of `before`, `name` and `after`, in hex."),
            ("sorted", "Signs `texts` with `name` as WeChat does."),
            ("check_sorted", "Whether `signature` is that of `texts` and `name`."),
            ("equals", "Whether `name` is `guess`."),
            ("cbc", "AES-CBC with `name`: `decrypt` or `encrypt`, in hex."),
            ("ecb", "AES-ECB with `name`: `decrypt` or `encrypt`, in hex."),
            ("everything", "Each operation on `name` and what became of it, and all of it printed."),
            ("guess", "Guesses `name` by `equals` until it is stopped: how often it was answered."),
            ("halve", "Sorts `name` among texts by comparing signatures: what it learned."),
            ("start_of_key", "Mixes what AES answers for `name` until 16 bytes of the key come out."),
            ("errors", "Every error that can be had of `name`, as text."),
            ("twice", "HMAC with `name`, then `rpi.gate`, then HMAC with the same handle: the codes."),
            ("exchange", "Exchanges `name` for `yields` and says what came back."),
            ("hold", "Opens `name` `times` times and keeps every handle: how many it got."),
            ("say", "Answers with `text` and prints it."),
        ];
        tools.map(|(name, about)| ToolSpec::new(name, about, schema).risk("read")).to_vec()
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        let secret = input["name"].as_str().unwrap_or_default();
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let bytes = |key: &str| text(key).as_bytes().to_vec();
        let texts = |key: &str| -> Vec<String> {
            let items = input[key].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let answer = match name {
            "open" => secrets::open(secret).map(|secret| json!(secret.name())),
            "hmac" => on(secret, |secret| secret.hmac_sha256(&bytes("data"))),
            "sign" => on(secret, |secret| secret.sign_ed25519(&bytes("data"))),
            "joined" => on(secret, |secret| secret.sha256_joined(&bytes("before"), &bytes("after"))),
            "sorted" => secrets::open(secret).and_then(|secret| {
                let signed = secret.sha1_sorted(&texts("texts"))?;
                Ok(json!({ "timestamp": signed.timestamp, "nonce": signed.nonce, "signature": signed.signature }))
            }),
            "check_sorted" => secrets::open(secret)
                .and_then(|secret| secret.check_sha1_sorted(&texts("texts"), text("signature")))
                .map(Value::from),
            "equals" => secrets::open(secret).and_then(|secret| secret.equals(&bytes("guess"))).map(Value::from),
            "cbc" => cbc(secret, &input),
            "ecb" => ecb(secret, &input),
            "exchange" => exchange(secret, &input),
            "everything" => Ok(everything(secret)),
            "guess" => Ok(guess(secret)),
            "halve" => Ok(halve(secret)),
            "start_of_key" => Ok(start_of_key(secret)),
            "errors" => Ok(errors(secret)),
            "twice" => Ok(twice(secret)),
            "hold" => Ok(hold(secret, input["times"].as_u64().unwrap_or(1))),
            "say" => {
                print(text("text"));
                Ok(json!(text("text")))
            }
            other => return Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        };
        Ok(answer.unwrap_or_else(|error| json!({ "code": error.code, "message": error.message })))
    }
}

export_tool!(Secrets);

fn print(text: &str) {
    use std::io::Write;
    // Nobody who listens is no failure.
    drop(writeln!(std::io::stdout(), "{text}"));
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn exchange(name: &str, input: &Value) -> Result<Value, Error> {
    let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
    let audience = input["audience"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recipe = Recipe {
        name: text("yields"),
        method: text("method"),
        url: text("url"),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: text("body").into_bytes(),
        token: text("token"),
        expires: input["expires"].as_str().map(str::to_owned),
        lifetime_ms: None,
        audience: audience.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        meta: Vec::new(),
    };
    let exchanged = secrets::open(name)?.exchange(&recipe)?;
    let answer: Value = berth_plugin::Value::from(exchanged.answer.as_str());
    Ok(json!({
        "name": exchanged.secret.name(), "expires_in_ms": exchanged.expires_in_ms, "status": exchanged.status,
        "answer": answer,
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

fn on(name: &str, act: impl FnOnce(&Secret) -> Result<Vec<u8>, Error>) -> Result<Value, Error> {
    let secret = secrets::open(name)?;
    Ok(json!(hex(&act(&secret)?)))
}

fn form(input: &Value) -> KeyForm {
    match input["key"].as_str().unwrap_or("raw") {
        "raw" => KeyForm::Raw,
        "sha256" => KeyForm::Sha256,
        "base64" => KeyForm::Base64,
        "hex" => KeyForm::Hex,
        other => KeyForm::Other(other.to_owned()),
    }
}

fn padding(input: &Value) -> Padding {
    match input["padding"].as_str().unwrap_or("pkcs7") {
        "pkcs7" => Padding::Pkcs7,
        "pkcs7-wide" => Padding::Pkcs7Wide,
        "none" => Padding::None,
        other => Padding::Other(other.to_owned()),
    }
}

fn cbc(name: &str, input: &Value) -> Result<Value, Error> {
    let iv = match input["iv"].as_str().unwrap_or("prefix") {
        "prefix" => Iv::Prefix,
        "from-key" => Iv::FromKey,
        "unheard" => Iv::Other("unheard".to_owned()),
        given => Iv::Given(unhex(given)),
    };
    let (key, padding) = (form(input), padding(input));
    match input["decrypt"].as_str() {
        Some(sealed) => on(name, |secret| secret.aes_cbc_decrypt(&unhex(sealed), &key, &iv, &padding)),
        None => {
            let text = unhex(input["encrypt"].as_str().unwrap_or_default());
            on(name, |secret| secret.aes_cbc_encrypt(&text, &key, &iv, &padding))
        }
    }
}

fn ecb(name: &str, input: &Value) -> Result<Value, Error> {
    let (key, padding) = (form(input), padding(input));
    match input["decrypt"].as_str() {
        Some(sealed) => on(name, |secret| secret.aes_ecb_decrypt(&unhex(sealed), &key, &padding)),
        None => {
            let text = unhex(input["encrypt"].as_str().unwrap_or_default());
            on(name, |secret| secret.aes_ecb_encrypt(&text, &key, &padding))
        }
    }
}

/// What became of each operation: `ok` or the code.
fn everything(name: &str) -> Value {
    let secret = match secrets::open(name) {
        Ok(secret) => secret,
        Err(error) => return json!({ "open": error.code }),
    };
    let mut ended = json!({});
    let mut note = |operation: &str, answer: Result<Vec<u8>, Error>| {
        let told = match &answer {
            Ok(bytes) => hex(bytes),
            Err(error) => format!("{}: {} {:?}", error.code, error.message, error.details),
        };
        print(&format!("{operation} {told}"));
        ended[operation] = json!(answer.map_or_else(|error| error.code, |_| "ok".to_owned()));
    };
    let block = [7; 32];
    note("hmac-sha256", secret.hmac_sha256(b"data"));
    note("sign-ed25519", secret.sign_ed25519(b"data"));
    note("sha256-joined", secret.sha256_joined(b"before", b"after"));
    note("sha1-sorted", secret.sha1_sorted(&["text".to_owned()]).map(|signed| signed.signature.into_bytes()));
    let checked = secret.check_sha1_sorted(&["text".to_owned()], &"0".repeat(40));
    note("check-sha1-sorted", checked.map(|is| vec![u8::from(is)]));
    note("equals", secret.equals(b"guess").map(|is| vec![u8::from(is)]));
    for (word, key) in [("sha256", KeyForm::Sha256), ("raw", KeyForm::Raw), ("hex", KeyForm::Hex)] {
        for (way, iv) in
            [("given", Iv::Given(vec![0; 16])), ("prefix", Iv::Prefix), ("from-key", Iv::FromKey)]
        {
            let decrypted = secret.aes_cbc_decrypt(&block, &key, &iv, &Padding::None);
            note(&format!("aes-cbc-decrypt {word} {way}"), decrypted);
            let encrypted = secret.aes_cbc_encrypt(&block, &key, &iv, &Padding::None);
            note(&format!("aes-cbc-encrypt {word} {way}"), encrypted);
        }
        note(&format!("aes-ecb-decrypt {word}"), secret.aes_ecb_decrypt(&block, &key, &Padding::None));
        note(&format!("aes-ecb-encrypt {word}"), secret.aes_ecb_encrypt(&block, &key, &Padding::None));
    }
    ended
}

fn guess(name: &str) -> Value {
    let Ok(secret) = secrets::open(name) else { return json!({ "answered": 0 }) };
    let mut answered = 0_u32;
    loop {
        match secret.equals(format!("guess {answered}").as_bytes()) {
            Ok(is_right) if is_right => return json!({ "found": answered }),
            Ok(_) => answered += 1,
            Err(error) => {
                let (code, wait) = (error.code, error.retry_after_ms);
                return json!({ "answered": answered, "code": code, "retry_after_ms": wait });
            }
        }
    }
}

/// Compares signatures over the same bytes, cut in two ways: they are equal unless the secret lies between the cuts.
fn halve(name: &str) -> Value {
    let Ok(secret) = secrets::open(name) else { return json!({ "learned": 0 }) };
    let mut learned = 0;
    for letter in b'!'..=b'~' {
        let (low, high) = (char::from(letter).to_string(), char::from(letter + 1).to_string());
        let apart = secret.sha1_sorted(&[low.clone(), high.clone()]);
        let joined = secret.sha1_sorted(&[format!("{low}{high}")]);
        let (Ok(apart), Ok(joined)) = (apart, joined) else { break };
        if apart.signature == joined.signature {
            learned += 1;
        }
        for texts in [
            vec![apart.timestamp.clone(), apart.nonce.clone(), low.clone(), high.clone()],
            vec![apart.timestamp.clone(), format!("{}{low}{high}", apart.nonce)],
        ] {
            if secret.check_sha1_sorted(&texts, &apart.signature).unwrap_or(false) {
                learned += 1;
            }
        }
    }
    json!({ "learned": learned })
}

/// The textbook attack on an IV that is the key, and the same with texts that were sealed here.
fn start_of_key(name: &str) -> Value {
    let Ok(secret) = secrets::open(name) else { return json!({ "found": [] }) };
    let mix = |left: &[u8], right: &[u8]| -> Vec<u8> { left.iter().zip(right).map(|(a, b)| a ^ b).collect() };
    let zero = [0; 16];
    let mut found = Vec::new();
    for key in [KeyForm::Raw, KeyForm::Sha256, KeyForm::Base64, KeyForm::Hex] {
        let open = |iv: &Iv, sealed: &[u8]| {
            secret.aes_cbc_decrypt(sealed, &key, iv, &Padding::None).unwrap_or_default()
        };
        let chosen = [[7; 16], zero, [7; 16]].concat();
        let given = Iv::Given(zero.to_vec());
        let sealed = secret.aes_cbc_encrypt(&chosen, &key, &Iv::FromKey, &Padding::None).unwrap_or_default();
        let answers = [
            open(&Iv::FromKey, &chosen),
            open(&given, &chosen),
            open(&given, &sealed),
            open(&Iv::FromKey, &sealed),
            sealed.clone(),
        ];
        let blocks: Vec<&[u8]> = answers.iter().flat_map(|answer| answer.chunks(16)).collect();
        for left in &blocks {
            for right in &blocks {
                let guess = mix(left, right);
                if guess.len() == 16 && guess != zero {
                    found.push(json!(hex(&guess)));
                }
            }
        }
    }
    json!({ "found": found })
}

fn errors(name: &str) -> Value {
    let told = |error: Error| format!("{} {} {:?}", error.code, error.message, error.details);
    let mut errors = Vec::new();
    if let Ok(secret) = secrets::open(name) {
        let other = || "unheard".to_owned();
        let answers = [
            secret.sign_ed25519(b""),
            secret.sha256_joined(b"", b""),
            secret.hmac_sha256(&vec![0; (1 << 20) + 1]),
            secret.aes_ecb_decrypt(b"odd", &KeyForm::Raw, &Padding::None),
            secret.aes_ecb_decrypt(&[0; 16], &KeyForm::Hex, &Padding::Pkcs7),
            secret.aes_ecb_decrypt(&[0; 16], &KeyForm::Base64, &Padding::Pkcs7),
            secret.aes_ecb_decrypt(&[0; 16], &KeyForm::Sha256, &Padding::Pkcs7),
            secret.aes_ecb_decrypt(&[0; 16], &KeyForm::Other(other()), &Padding::Pkcs7),
            secret.aes_ecb_decrypt(&[0; 16], &KeyForm::Raw, &Padding::Other(other())),
            secret.aes_cbc_decrypt(&[0; 16], &KeyForm::Sha256, &Iv::Other(other()), &Padding::None),
            secret.aes_cbc_decrypt(&[0; 16], &KeyForm::Sha256, &Iv::Given(vec![1]), &Padding::None),
        ];
        errors.extend(answers.into_iter().filter_map(Result::err).map(told));
        errors.extend(secret.sha1_sorted(&[]).err().map(told));
    }
    for wrong in ["", "NO", "{{secret:x}}", "another", "../secrets.key"] {
        errors.extend(secrets::open(wrong).err().map(told));
    }
    json!(errors)
}

fn twice(name: &str) -> Value {
    let ended = |answer: Result<Vec<u8>, Error>| answer.map_or_else(|error| error.code, |_| "ok".to_owned());
    let secret = match secrets::open(name) {
        Ok(secret) => secret,
        Err(error) => return json!({ "open": error.code }),
    };
    let first = ended(secret.hmac_sha256(b"data"));
    let waited = berth_plugin::endpoints::call("", "rpi.gate", &json!({})).is_ok();
    json!({ "first": first, "waited": waited, "second": ended(secret.hmac_sha256(b"data")) })
}

fn hold(name: &str, times: u64) -> Value {
    let mut held = Vec::new();
    for _ in 0..times {
        match secrets::open(name) {
            Ok(secret) => held.push(secret),
            Err(error) => return json!({ "held": held.len(), "code": error.code }),
        }
    }
    json!({ "held": held.len() })
}
