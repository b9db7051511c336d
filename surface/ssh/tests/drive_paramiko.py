"""Drives the server with Paramiko: port, user, password, directory for local files."""
import os
import sys
import threading

import paramiko

port, user, password, directory = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", port, user, password, look_for_keys=False, allow_agent=False)

_, out, err = client.exec_command("both")
assert (out.read(), err.read()) == (b"to output\n", b"to error\n")
assert out.channel.recv_exit_status() == 0

_, out, _ = client.exec_command("exit 17")
assert out.channel.recv_exit_status() == 17

_, out, _ = client.exec_command("both", get_pty=True)
assert out.read() == b"to output\r\nto error\r\n"

_, out, _ = client.exec_command("flood 5000000")
assert len(out.read()) == 5000000
assert out.channel.recv_exit_status() == 7

shell = client.invoke_shell(term="vt100", width=100, height=30)
seen = b""
while b":~> " not in seen:
    seen += shell.recv(1000)
assert b"vt100 100x30\r\n" in seen, seen
shell.send(b"hi\r")
while b"you said hi\r\n" not in seen:
    seen += shell.recv(1000)
shell.send(b"exit 4\r")
assert shell.recv_exit_status() == 4

data = bytes(range(256)) * 40000
path = os.path.join(directory, "paramiko-local")
with open(path, "wb") as file:
    file.write(data)
sftp = client.open_sftp()
assert sftp.normalize(".") == "/home/" + user
sftp.put(path, "uploaded")
sftp.get("uploaded", path + ".back")
with open(path + ".back", "rb") as file:
    assert file.read() == data
sftp.mkdir("d")
sftp.posix_rename("uploaded", "d/moved")
assert sftp.listdir("d") == ["moved"]
assert sftp.stat("d/moved").st_size == len(data)
sftp.truncate("d/moved", 10)
with sftp.open("d/moved", "ab") as file:
    file.write(b"tail")
with sftp.open("d/moved", "rb") as file:
    assert file.read() == data[:10] + b"tail"
for name in ["/etc/passwd", "../x", "/"]:
    try:
        sftp.stat(name)
    except PermissionError:
        continue
    raise AssertionError(name)
try:
    sftp.symlink("/etc/passwd", "link")
except PermissionError:
    pass
else:
    raise AssertionError("a symbolic link was made")
sftp.remove("d/moved")
sftp.rmdir("d")
assert sftp.listdir() == []

results = {}


def work(index):
    _, out, _ = client.exec_command("echo channel %d" % index)
    results[index] = out.read()


threads = [threading.Thread(target=work, args=(index,)) for index in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert results == {index: b"channel %d\n" % index for index in range(16)}
client.close()

transport = paramiko.Transport(("127.0.0.1", port))
transport.start_client()
prompts = []
try:
    transport.auth_none(user)
except paramiko.BadAuthenticationType as error:
    assert sorted(error.allowed_types) == ["keyboard-interactive", "password", "publickey"]
else:
    raise AssertionError("no authentication was needed")
transport.close()

# A connection of its own: see the ignored test of falling back in paramiko.rs.
transport = paramiko.Transport(("127.0.0.1", port))
transport.start_client()


def answer(title, instructions, fields):
    prompts.extend(fields)
    return [password] * len(fields)


transport.auth_interactive(user, answer)
assert prompts == [("Password: ", False)], prompts

# Blocks until it is answered; this request is known to no server, a refusal is an answer.
transport.global_request("keepalive@openssh.com", wait=True)

waiting = transport.open_session()
waiting.exec_command("hang")
message = paramiko.Message()
message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
message.add_int(waiting.remote_chanid)
message.add_string("signal")
message.add_boolean(False)
message.add_string("TERM")
transport._send_user_message(message)
assert waiting.makefile().read() == b"ended: Some(Signal(Terminate))\n"
assert waiting.recv_exit_status() == 130

pty = transport.open_session()
pty.get_pty()
pty.invoke_shell()
pty.resize_pty(width=132, height=50)
pty.close()
transport.close()
print("paramiko", paramiko.__version__, "passed")
