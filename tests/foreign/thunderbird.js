/* What thunderbird.py has Thunderbird do, by Thunderbird's own parts: each function is called over Marionette, in its main window. */
/* global ChromeUtils, Ci, Cc, Cr, Services */
"use strict";

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { FetchConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FetchConfig.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");

/** Calls a function; the last argument is Marionette's "done". */
function run(what, all) {
  const given = [...all];
  const done = given.pop();
  const failed = error => done({ error: `${error} ${error?.stack ?? ""}` });
  Promise.resolve()
    .then(() => what(...given))
    .then(value => done({ value: value ?? null }), failed);
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Until it gives something; at most a minute. */
async function until(what, give, otherwise = () => "") {
  for (let round = 0; round < 600; round++) {
    const found = await give();
    if (found) {
      return found;
    }
    await pause(100);
  }
  throw new Error(`in vain: ${what} ${otherwise()}`);
}

/** A promise, and the listener to a URL that keeps it. */
function urlDone() {
  const { promise, resolve, reject } = Promise.withResolvers();
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl(url, status) {
      if (Components.isSuccessCode(status)) {
        resolve();
      } else {
        reject(new Error(`${url?.spec}: status ${status.toString(16)}`));
      }
    },
  };
  return { promise, listener };
}

/** A promise, and the listener to a copy that keeps it; `more` of it listens to other things, and may reject. */
function copyDone(interfaces = [], more = () => ({})) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener", ...interfaces]),
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId: () => null,
    onStopCopy(status) {
      if (Components.isSuccessCode(status)) {
        resolve();
      } else {
        reject(new Error(`copy: status ${status.toString(16)}`));
      }
    },
    ...more(reject),
  };
  return { promise, listener, reject };
}

function serverOf(user) {
  const server = MailServices.accounts.allServers.find(one => one.type == "imap" && one.username == user);
  return server.QueryInterface(Ci.nsIImapIncomingServer);
}

function folderOf(user, path) {
  let folder = serverOf(user).rootFolder;
  for (const name of path.split("/")) {
    folder = folder.subFolders.find(one => one.name == name || one.onlineName == name || (name == "INBOX" && one.isSpecialFolder(Ci.nsMsgFolderFlags.Inbox)));
    if (!folder) {
      return null;
    }
  }
  return folder.QueryInterface(Ci.nsIMsgImapMailFolder);
}

const waitForFolder = (user, path) => until(`folder ${path}`, () => folderOf(user, path), () => serverOf(user).rootFolder.descendants.map(one => one.URI));

async function update(folder) {
  const { promise, listener } = urlDone();
  folder.updateFolderWithListener(null, listener);
  await promise;
}

function headers(folder) {
  return [...folder.messages];
}

function messageOf(folder, subject) {
  const found = headers(folder).find(header => header.mime2DecodedSubject == subject);
  if (!found) {
    throw new Error(`no "${subject}" in ${folder.name}: ${headers(folder).map(header => header.mime2DecodedSubject)}`);
  }
  return found;
}

// --- set-up --------------------------------------------------------------------------------------------------------------------------

/** What Thunderbird's own search for a domain's settings finds. */
async function findConfig(email) {
  const config = await FetchConfig.fromISP(email.split("@")[1], email, new AbortController().signal);
  const server = ({ type, hostname, port, username, socketType }) => [type, hostname, port, username, socketType];
  return {
    source: config.subSource,
    incoming: [config.incoming, ...config.incomingAlternatives].map(server),
    outgoing: [config.outgoing, ...config.outgoingAlternatives].map(server),
  };
}

/** What its wizard's first page does. */
async function discover(email) {
  const { FindConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FindConfig.sys.mjs");
  const search = FindConfig.parallelAutoDiscovery(email.split("@")[1], email, new AbortController().signal, "", "");
  const { value } = await search.next();
  return value.incoming.hostname;
}

/** As a person who says that this certificate is the right one. */
function trust(host, ports, base64) {
  const certificate = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).constructX509FromBase64(base64);
  const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
  for (const port of ports) {
    overrides.rememberValidityOverride(host, port, {}, certificate, false);
  }
}

/** An account of the settings that were found: the first that are offered, or those with STARTTLS. */
async function addAccount(email, name, password, startTls) {
  const config = await FetchConfig.fromISP(email.split("@")[1], email, new AbortController().signal);
  AccountConfig.replaceVariables(config, name, email, password);
  if (startTls) {
    const wanted = Ci.nsMsgSocketType.alwaysSTARTTLS;
    config.incoming = config.incomingAlternatives.find(one => one.socketType == wanted);
    config.outgoing = config.outgoingAlternatives.find(one => one.socketType == wanted);
  }
  config.incoming.password = config.outgoing.password = password;
  config.rememberPassword = true;
  const account = await CreateInBackend.createAccountInBackend(config);
  // So that what the server holds is not already here.
  account.incomingServer.QueryInterface(Ci.nsIImapIncomingServer).offlineDownload = false;
  return account.key;
}

/** The mailboxes that it learns of, by name and use. */
async function discoverFolders(user) {
  await waitForFolder(user, "Trash");
  const flags = { Sent: "SentMail", Drafts: "Drafts", Trash: "Trash", Junk: "Junk", Archive: "Archive" };
  const uses = Object.entries(flags).filter(([name, flag]) => folderOf(user, name)?.isSpecialFolder(Ci.nsMsgFolderFlags[flag]));
  return uses.map(([name]) => name);
}

// --- reading and changing ----------------------------------------------------------------------------------------------------------

/** Subjects in a mailbox, after a look at the server, until there are so many. */
async function list(user, path, count) {
  const folder = await waitForFolder(user, path);
  await update(folder);
  await until(`${count} messages`, () => headers(folder).length == count, () => headers(folder).length);
  return headers(folder).map(header => ({ subject: header.mime2DecodedSubject, author: header.mime2DecodedAuthor, size: header.messageSize, read: header.isRead }));
}

/** Until a mailbox has a message, without asking: only IDLE can tell. */
async function waitForMessage(user, path, subject) {
  const folder = folderOf(user, path);
  await until(`"${subject}"`, () => headers(folder).some(header => header.mime2DecodedSubject == subject));
  return true;
}

/** A message's bytes, in base64. */
async function read(user, path, subject) {
  const folder = folderOf(user, path);
  const uri = folder.getUriForMsg(messageOf(folder, subject));
  const { promise, resolve, reject } = Promise.withResolvers();
  const pieces = [];
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
    onStartRequest() {},
    onDataAvailable(request, stream, offset, count) {
      const binary = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
      binary.setInputStream(stream);
      pieces.push(binary.readBytes(count));
    },
    onStopRequest(request, status) {
      if (Components.isSuccessCode(status)) {
        resolve(btoa(pieces.join("")));
      } else {
        reject(new Error(`${uri}: status ${status.toString(16)}`));
      }
    },
  };
  MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  return promise;
}

/** All messages of a mailbox, for reading without a connection. */
async function download(user, path) {
  const folder = folderOf(user, path);
  folder.setFlag(Ci.nsMsgFolderFlags.Offline);
  const { promise, listener } = urlDone();
  folder.downloadAllForOffline(listener, null);
  await promise;
  return headers(folder).filter(header => header.flags & Ci.nsMsgMessageFlags.Offline).length;
}

function mark(user, path, subject) {
  const folder = folderOf(user, path);
  const header = messageOf(folder, subject);
  folder.markMessagesRead([header], true);
  folder.markMessagesFlagged([header], true);
  folder.addKeywordsToMessages([header], "$label1");
}

function junk(user, path, subject) {
  const folder = folderOf(user, path);
  folder.setJunkScoreForMessages([messageOf(folder, subject)], Ci.nsIJunkMailPlugin.IS_SPAM_SCORE, "user", -1);
}

async function createFolder(user, parent, name) {
  const above = parent ? folderOf(user, parent) : serverOf(user).rootFolder;
  above.createSubfolder(name, null);
  await waitForFolder(user, parent ? `${parent}/${name}` : name);
}

async function renameFolder(user, path, name) {
  folderOf(user, path).rename(name, null);
  await waitForFolder(user, name);
}

/** A folder goes into the trash. */
async function deleteFolder(user, path) {
  folderOf(user, path).deleteSelf(null);
  await until(`${path} is gone`, () => !folderOf(user, path));
}

async function transfer(user, from, subjects, to, move, toUser = user) {
  const source = folderOf(user, from);
  const messages = subjects.map(subject => messageOf(source, subject));
  const { promise, listener } = copyDone();
  MailServices.copy.copyMessages(source, messages, folderOf(toUser, to), move, listener, null, false);
  await promise;
}

/** Into the trash, or for ever. */
async function remove(user, path, subject, forever) {
  const folder = folderOf(user, path);
  const { promise, listener } = copyDone();
  folder.deleteMessages([messageOf(folder, subject)], null, forever, false, listener, false);
  if (!forever) {
    await promise;
  }
}

async function expunge(user, path) {
  const folder = folderOf(user, path);
  const { promise, listener } = urlDone();
  folder.expunge(listener, null);
  await promise;
}

async function emptyTrash(user) {
  const folder = folderOf(user, "Trash");
  await update(folder);
  folder.emptyTrash(null);
  await until("the trash is empty", () => headers(folder).length == 0);
}

/** What a search on the server finds: [attribute, operator, text]. */
async function search(user, path, terms) {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folderOf(user, path));
  for (const [attribute, operator, text] of terms) {
    const term = session.createTerm();
    const value = term.value;
    term.attrib = value.attrib = Ci.nsMsgSearchAttrib[attribute];
    term.op = Ci.nsMsgSearchOp[operator];
    value.str = text;
    term.value = value;
    term.booleanAnd = true;
    session.appendTerm(term);
  }
  const { promise, resolve, reject } = Promise.withResolvers();
  const found = [];
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
    onNewSearch() {},
    onSearchHit: header => found.push(header.mime2DecodedSubject),
    onSearchDone: status => (Components.isSuccessCode(status) ? resolve() : reject(new Error(`search: status ${status.toString(16)}`))),
  };
  session.registerListener(listener, Ci.nsIMsgSearchSession.allNotifications);
  session.search(null);
  await promise;
  session.unregisterListener(listener);
  return found;
}

// --- writing -----------------------------------------------------------------------------------------------------------------------

/** Sends a message, with its copy in Sent; or keeps it in Drafts. */
async function write(user, to, subject, body, draft) {
  const account = MailServices.accounts.accounts.find(one => one.incomingServer.username == user && one.incomingServer.type == "imap");
  const identity = account.defaultIdentity;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = identity.fullAddress;
  fields.to = to;
  fields.subject = subject;
  const { promise, listener, reject } = copyDone(["nsIMsgSendListener"], reject => ({
    onStartSending() {},
    onStatus() {},
    onSendProgress() {},
    onStopSending(id, status) {
      if (!Components.isSuccessCode(status)) {
        reject(new Error(`sending: status ${status.toString(16)}`));
      }
    },
    onTransportSecurityError(id, status) {
      reject(new Error(`sending: TLS ${status}`));
    },
    onGetDraftFolderURI() {},
    onSendNotPerformed() {
      reject(new Error("not sent"));
    },
  }));
  const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
  const mode = draft ? Ci.nsIMsgSend.nsMsgSaveAsDraft : Ci.nsIMsgSend.nsMsgDeliverNow;
  const kind = draft ? Ci.nsIMsgCompType.Draft : Ci.nsIMsgCompType.New;
  const failed = send.createAndSendMessage(null, identity, account.key, fields, false, false, mode, null, "text/plain", body, null, null, listener, "", "", kind);
  failed?.catch(reject);
  await promise;
}
