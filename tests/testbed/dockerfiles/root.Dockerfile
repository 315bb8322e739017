# A root file system of the machine's own distribution, as the base of the images of deploy/images.
FROM scratch
ADD root.tar /
CMD ["/bin/bash"]
