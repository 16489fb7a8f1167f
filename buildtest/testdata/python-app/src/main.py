from pkg import answer

print(answer())
