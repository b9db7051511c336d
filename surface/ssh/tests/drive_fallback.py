"""Falls back from a refused key, and from a wrong password, on one connection."""
import sys

import paramiko

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
key = paramiko.ECDSAKey.generate()
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", port, user, password, pkey=key, look_for_keys=False, allow_agent=False, auth_timeout=10)
_, out, _ = client.exec_command("echo fell back")
assert out.read() == b"fell back\n"
client.close()
print("fallback passed")
