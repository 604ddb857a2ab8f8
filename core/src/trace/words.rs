//! Words that a capsule keeps: those of the protocols, and those of our own replies.

/// Whether a word stays, in any case.
pub(super) fn stays(word: &[u8], kept: &[&[u8]]) -> bool {
    kept.iter().any(|kept| kept.eq_ignore_ascii_case(word))
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $text:literal) => {
        $(#[$doc])*
        pub(super) static $name: [&[u8]; count($text)] = split($text);
    };
}

const fn count(text: &str) -> usize {
    let text = text.as_bytes();
    let (mut at, mut words) = (0, 0);
    while at < text.len() {
        if text[at] != b' ' && text[at] != b'\n' && (at == 0 || text[at - 1] == b' ' || text[at - 1] == b'\n') {
            words += 1;
        }
        at += 1;
    }
    words
}

const fn split<const N: usize>(text: &'static str) -> [&'static [u8]; N] {
    let mut rest = text.as_bytes();
    let mut words: [&[u8]; N] = [&[]; N];
    let mut number = 0;
    while number < N {
        let mut start = 0;
        while rest[start] == b' ' || rest[start] == b'\n' {
            start += 1;
        }
        rest = rest.split_at(start).1;
        let mut end = 0;
        while end < rest.len() && rest[end] != b' ' && rest[end] != b'\n' {
            end += 1;
        }
        let (word, behind) = rest.split_at(end);
        words[number] = word;
        rest = behind;
        number += 1;
    }
    words
}

words! {
    /// Verbs, parameters, capabilities, items, names of header fields, values of MIME, months.
    PROTOCOL: "EHLO HELO MAIL FROM RCPT TO DATA BDAT LAST RSET NOOP QUIT VRFY EXPN HELP STARTTLS AUTH LHLO
SIZE BODY 7BIT 8BITMIME BINARYMIME SMTPUTF8 RET FULL HDRS ENVID NOTIFY NEVER SUCCESS FAILURE DELAY ORCPT rfc822 utf8
PIPELINING ENHANCEDSTATUSCODES CHUNKING DSN REQUIRETLS LIMITS ESMTP SMTP ESMTPS ESMTPSA ESMTPA LMTP by with for id RRVS MT PRIORITY
PLAIN LOGIN SCRAM SHA 256 SHA256 1 CRAM MD5 DIGEST XOAUTH2 OAUTHBEARER GSSAPI NTLM EXTERNAL ANONYMOUS
TLSv1 TLS AES GCM SHA384 CHACHA20 POLY1305 ECDHE RSA ECDSA using cipher bits GET POST HEAD PUT OPTIONS CONNECT TRACE PATCH HTTP Host
AUTHENTICATE CAPABILITY LOGOUT CHECK SELECT EXAMINE LIST LSUB STATUS APPEND IDLE DONE CLOSE UNSELECT EXPUNGE FETCH STORE SEARCH COPY
MOVE UID CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE NAMESPACE ID ENABLE SORT THREAD GETQUOTA GETQUOTAROOT COMPRESS DEFLATE
INBOX NIL UTF 8 UTF8 ACCEPT ASCII US CHARSET RETURN MIN MAX ALL COUNT SAVE PARTIAL CONTEXT UPDATE
MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ DELETED MAILBOXID APPENDLIMIT DELETED STORAGE
FLAGS SILENT ENVELOPE INTERNALDATE RFC822 HEADER TEXT BODY BODYSTRUCTURE PEEK FIELDS NOT MIME BINARY FAST MACRO MODSEQ EMAILID THREADID
SAVEDATE PREVIEW LAZY CHANGEDSINCE UNCHANGEDSINCE VANISHED CONDSTORE QRESYNC IMAP4rev1 IMAP4rev2 IMAP4 LITERAL SASL IR ESEARCH SEARCHRES
WITHIN OLDER YOUNGER ANSWERED BCC BEFORE CC DRAFT FLAGGED KEYWORD LARGER NEW OLD ON OR SEEN SENTBEFORE SENTON SENTSINCE SINCE SMALLER
SUBJECT UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNKEYWORD UNDRAFT MULTIAPPEND CATENATE URL
SUBSCRIBED REMOTE CHILDREN RECURSIVEMATCH SPECIAL USE NOSELECT HASCHILDREN HASNOCHILDREN MARKED UNMARKED NOINFERIORS NONEXISTENT
Archive Drafts Junk Sent Trash Important Forwarded MDNSent NotJunk NonJunk Phishing Seen OLDNAME CHILDINFO METADATA ACL
OK NO BAD BYE PREAUTH ready ALERT TRYCREATE
Date From Sender Reply To Cc Bcc Message In References Subject Comments Keywords Return Path Received Delivered Resent Content Type Transfer
Encoding Disposition Description Language Location MIME Version Auto Submitted Precedence List Unsubscribe Post Archive Owner Help DKIM
Signature Authentication Results SPF ARC Seal Original Recipient Envelope Errors Importance Priority X Mailer User Agent Organization
Newsgroups Followup
text plain html enriched multipart mixed alternative related report signed encrypted digest parallel message rfc822 partial external
delivery disposition notification headers application octet stream pdf zip image png jpeg gif audio video boundary charset name filename
format flowed delsp base64 quoted printable 7bit 8bit binary iso 8859 utf us ascii windows attachment inline protocol micalg pgp pkcs7
Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun GMT UTC IPv6 postmaster"
}

words! {
    /// Those, and what our own replies and other servers' are made of.
    ANSWER: "PROTOCOL INBOX NIL text plain html multipart mixed alternative related report signed encrypted digest message rfc822 application
octet stream pdf zip image png jpeg gif audio video boundary charset name filename format flowed base64 quoted printable 7bit 8bit binary
iso 8859 utf 8 us ascii attachment inline delivery status disposition notification Archive Drafts Junk Sent Trash Seen Answered Flagged
Deleted Draft Recent Forwarded NonJunk NotJunk MDNSent TLSv1 TLS AES GCM 256 SHA384 SHA256 CHACHA20 POLY1305 postmaster IPv6
Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun
no not is are the a an of for in on to at by or and such here there user mailbox address domain sender recipient message server unknown
refused denied relay relaying access too large long many full quota exceeded try again later busy disk stops closing login logged password
wrong must may take taken mail from account own owns its this that it was were be been rcpt reply connection lost failed failure timeout
waiting handshake nobody send sending setting has have without with what which only ours your RFC"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_blanks() {
        assert_eq!(PROTOCOL[0], b"EHLO");
        assert_eq!(PROTOCOL.last(), Some(&b"postmaster".as_slice()));
        assert!(
            PROTOCOL
                .iter()
                .chain(&ANSWER)
                .all(|word| !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric))
        );
        assert!(stays(b"ehlo", &PROTOCOL) && !stays(b"ehl", &PROTOCOL) && stays(b"IMAP4rev2", &PROTOCOL));
    }
}
