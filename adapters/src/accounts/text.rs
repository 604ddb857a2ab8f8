//! The text of the accounts file:
//!
//! ```text
//! pillarbox accounts 1
//! account <id> <address> active|disabled <password hash> <SCRAM keys or ->
//! alias <address or @domain> <target>...
//! ```

use pillarbox_core::address::Mailbox;
use pillarbox_core::store::AccountId;

use super::file::{Account, AccountsError, Alias, AliasAddress, Register};
use super::scram::Keys;

const FIRST_LINE: &str = "pillarbox accounts 1";

/// The file's text.
pub fn encode(register: &Register) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for account in &register.accounts {
        let state = if account.active { "active" } else { "disabled" };
        let scram = account.scram.as_ref().map_or_else(|| "-".into(), Keys::to_string);
        let (id, address, password) = (account.id, &account.address, &account.password);
        text.push_str(&format!("account {id} {address} {state} {password} {scram}\n"));
    }
    for alias in &register.aliases {
        text.push_str(&format!("alias {}", alias.address));
        alias.targets.iter().for_each(|target| text.push_str(&format!(" {target}")));
        text.push('\n');
    }
    text
}

/// Reads the file's text.
///
/// # Errors
/// The first line that is not of this version.
pub fn parse(bytes: &[u8]) -> Result<Register, AccountsError> {
    let wrong = |line: usize, what: &'static str| AccountsError::Line { line, what };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "not UTF-8"))?;
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, line)| line) != Some(FIRST_LINE) {
        return Err(wrong(1, "not an accounts file of this version"));
    }
    let mut register = Register::default();
    for (index, line) in lines {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(alias) = line.strip_prefix("alias ") {
            register
                .aliases
                .push(parse_alias(alias).ok_or(wrong(number, "not an alias"))?);
        } else {
            register
                .accounts
                .push(parse_account(line).ok_or(wrong(number, "not an account"))?);
        }
    }
    Ok(register)
}

fn parse_alias(line: &str) -> Option<Alias> {
    let mut words = line.split(' ');
    let address = AliasAddress::parse(words.next()?)?;
    let targets: Option<Vec<Mailbox>> = words.map(|word| Mailbox::parse(word, true).ok()).collect();
    let targets = targets.filter(|targets| !targets.is_empty())?;
    Some(Alias { address, targets })
}

fn parse_account(line: &str) -> Option<Account> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    if next()? != "account" {
        return None;
    }
    let account = Account {
        id: AccountId::from_hex(next()?)?,
        address: Mailbox::parse(next()?, true).ok()?,
        active: match next()? {
            "active" => true,
            "disabled" => false,
            _ => return None,
        },
        password: next().filter(|hash| hash.starts_with('$'))?.into(),
        scram: match next()? {
            "-" => None,
            keys => Some(Keys::parse(keys)?),
        },
    };
    next().is_none().then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let account = |id: u8, address: &str, active| Account {
            id: AccountId([id; 16]),
            address: Mailbox::parse(address, true).expect("an address"),
            active,
            password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
            scram: Keys::derive("secret", [id; 16]),
        };
        let alias = |address: &str, targets: &[&str]| Alias {
            address: AliasAddress::parse(address).expect("an address"),
            targets: targets
                .iter()
                .map(|target| Mailbox::parse(target, true).expect("an address"))
                .collect(),
        };
        let register = Register {
            accounts: vec![account(1, "alice@example.org", true), account(2, "bøb@example.org", false)],
            aliases: vec![
                alias("list@example.org", &["alice@example.org", "x@elsewhere.test"]),
                alias("@example.org", &["alice@example.org"]),
            ],
        };
        assert_eq!(parse(encode(&register).as_bytes()), Ok(register));
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_an_empty_one() {
        for (text, line) in [
            ("", 1),
            ("accounts\n", 1),
            ("pillarbox accounts 1\naccount x\n", 2),
            ("pillarbox accounts 1\n\naccount 00 a@b active $x -\n", 3),
            ("pillarbox accounts 1\nalias a@b\n", 2),
            ("pillarbox accounts 1\nalias @ a@b\n", 2),
            ("pillarbox accounts 1\nalias a@b  c@d\n", 2),
        ] {
            assert!(
                matches!(parse(text.as_bytes()), Err(AccountsError::Line { line: l, .. }) if l == line),
                "{text:?}"
            );
        }
    }
}
